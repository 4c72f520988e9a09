using Lab.Models.Corpora;
using Lab.Models.Tasks;
using Lab.Models.Tokenizers;

namespace Lab.Models.Tests.Tasks;

public sealed class TaskTokensTests
{
    // Trained on programs of the tasks, so that common punctuation is merged as in a real vocabulary: (" (' ")\n ]]\n :\n
    private static readonly LabTokenizer _tokenizer = BpeTrainer.Train(Programs(PromptSplit.Train, 60), 1024, CancellationToken.None);
    private static readonly LabTokenizer _bytes = BpeTrainer.Train([], BpeTrainer.MinVocabSize, CancellationToken.None);

    public static TheoryData<string> Names => [.. PythonTask.All.Select(task => task.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void Pairs_AnyTask_DecideAtTheFirstTokenThatDiffers(string name)
    {
        foreach (LabTokenizer tokenizer in new[] { _tokenizer, _bytes })
        {
            IReadOnlyList<TokenizedPair> pairs = TaskTokens.Pairs(tokenizer, PythonTask.Get(name, "name"), 1, 64, PromptSplit.HeldOut);

            pairs.Count.ShouldBe(64);
            foreach (TokenizedPrompt prompt in pairs.SelectMany(pair => new[] { pair.A, pair.B }))
            {
                prompt.Target.ShouldNotBe(prompt.Alternative);
                prompt.DecidingPosition.ShouldBe(prompt.Tokens.Length - 1);
                tokenizer.Decode(prompt.Tokens).ShouldStartWith(prompt.Text);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Pairs_AnyTask_DecideWithinTheTarget(string name)
    {
        var task = PythonTask.Get(name, "name");
        var random = new SeededRandom(9);
        for (int i = 0; i < 64; i++)
        {
            PromptPair pair = task.Draw(random, PromptSplit.Train);
            foreach (PythonPrompt prompt in new[] { pair.A, pair.B })
            {
                int[] text = _tokenizer.Encode(prompt.Text), all = _tokenizer.Encode(prompt.Program);
                all.AsSpan().StartsWith(text).ShouldBeTrue(prompt.Program);
                string first = _tokenizer.TokenText(all[text.Length]);
                (prompt.Target + prompt.Rest).ShouldStartWith(first);
                prompt.Target.ShouldStartWith(first[..Math.Min(first.Length, prompt.Target.Length)]);
                first.Length.ShouldBeLessThanOrEqualTo(prompt.Target.Length, prompt.Program);
            }
        }
    }

    [Fact]
    public void Pairs_QuoteTask_AnswersWithTheQuote()
    {
        foreach (TokenizedPair pair in TaskTokens.Pairs(_tokenizer, PythonTask.All[0], 3, 200, PromptSplit.Train))
        {
            _tokenizer.Decode([.. pair.A.Tokens, pair.A.Target]).ShouldStartWith(pair.A.Text + "\")");
            _tokenizer.Decode([.. pair.B.Tokens, pair.B.Target]).ShouldStartWith(pair.B.Text + "')");
            (pair.A.Target, pair.A.Alternative).ShouldBe((pair.B.Alternative, pair.B.Target));
        }
    }

    [Fact]
    public void Pairs_BracketTaskByBytes_DecidesAfterTheSharedBracket()
    {
        foreach (TokenizedPair pair in TaskTokens.Pairs(_bytes, PythonTask.Get("bracket_counting", "name"), 3, 50, PromptSplit.HeldOut))
        {
            _bytes.Decode(pair.A.Tokens).ShouldBe(pair.A.Text + "]");
            (_bytes.TokenText(pair.A.Target), _bytes.TokenText(pair.A.Alternative)).ShouldBe(("\n", "]"));
        }
    }

    [Fact]
    public void Pairs_EqualSeed_GivesTheSamePairsAndASmallerCountTheFirst()
    {
        string[] texts = Texts(100, 7);

        Texts(100, 7).ShouldBe(texts);
        Texts(30, 7).ShouldBe(texts[..30]);
        Texts(100, 8).ShouldNotBe(texts);
        texts.Distinct().Count().ShouldBe(100);

        static string[] Texts(int count, long seed) => [.. TaskTokens.Pairs(_tokenizer, PythonTask.All[4], seed, count, PromptSplit.HeldOut).Select(pair => pair.A.Text)];
    }

    [Fact]
    public void Pairs_EqualLength_HaveEquallyManyTokens()
    {
        var task = PythonTask.Get("class_init", "name");

        TaskTokens.Pairs(_tokenizer, task, 2, 50, PromptSplit.HeldOut, equalLength: true).ShouldAllBe(pair => pair.A.Tokens.Length == pair.B.Tokens.Length);
        TaskTokens.Pairs(_tokenizer, task, 2, 50, PromptSplit.HeldOut).ShouldContain(pair => pair.A.Tokens.Length != pair.B.Tokens.Length);
    }

    [Fact]
    public void Pairs_TooLong_SaysHowManyFitAndWhy() =>
        Should.Throw<ArgumentException>(() => TaskTokens.Pairs(_tokenizer, PythonTask.All[0], 0, 10, PromptSplit.Train, maxTokens: 2)).Message
            .ShouldSatisfyAllConditions(m => m.ShouldContain("only 0 distinct pairs"), m => m.ShouldContain("at most 2 are allowed"));

    [Fact]
    public void Pairs_TokenizerThatMergesTheDecidingTokenWithItsContext_SaysSo()
    {
        // GPT-2's own pieces end anywhere in a run of letters; of one piece a prompt is never a prefix.
        var whole = new WholeTextTokenizer();

        Should.Throw<ArgumentException>(() => TaskTokens.Pairs(whole, PythonTask.All[0], 0, 1, PromptSplit.Train)).Message
            .ShouldSatisfyAllConditions(m => m.ShouldContain("single_double_quote"), m => m.ShouldContain("merges the token that decides with its context"));
    }

    private static IEnumerable<string> Programs(PromptSplit split, int count)
    {
        var random = new SeededRandom(0);
        foreach (PythonTask task in PythonTask.All)
        {
            for (int i = 0; i < count; i++)
            {
                PromptPair pair = task.Draw(random, split);
                yield return pair.A.Program;
                yield return pair.B.Program;
            }
        }
    }

    /// <summary>Makes one token of every text.</summary>
    private sealed class WholeTextTokenizer : ITokenizer
    {
        public int VocabSize => int.MaxValue;

        public SpecialTokens SpecialTokens { get; } = new();

        public TokenizedText Encode(string text, EncodeOptions options) =>
            new(text, [string.GetHashCode(text, StringComparison.Ordinal) & int.MaxValue], [new TextSpan(0, text.Length)], BosState.Absent, EosAdded: false);

        public string Decode(ReadOnlySpan<int> ids, bool skipSpecial = false) => throw new NotSupportedException();

        public string TokenText(int id) => throw new NotSupportedException();

        public ReadOnlySpan<byte> TokenBytes(int id) => throw new NotSupportedException();
    }
}
