using Lab.CircuitAnalysis.Tasks;
using Lab.Models.Tokenizers;

namespace Lab.CircuitAnalysis.Tests.Tasks;

public sealed class SingleDoubleQuoteTaskTests
{
    // Trained on a few calls, so that the quotes' tokens are those of a corpus of Python: (" (' ")\n ')\n.
    private static readonly LabTokenizer _tokenizer = BpeTrainer.Train(
        Enumerable.Repeat("print(\"a file\")\nprint('a file')\nraise ValueError(\"no value\")\nself.write('the data')\n", 4), 300, CancellationToken.None);

    private readonly CircuitTask _task = CircuitTask.Get("single_double_quote");

    [Theory]
    [InlineData(PromptSplit.Train)]
    [InlineData(PromptSplit.HeldOut)]
    [InlineData(PromptSplit.Test)]
    internal void GeneratePairs_AnySplit_DifferOnlyInTheQuoteAndAnswerWithIt(PromptSplit split)
    {
        foreach (PromptPair pair in _task.GeneratePairs(_tokenizer, 500, 1, split, maxTokens: 60))
        {
            pair.PositiveText.Count(c => c == '"').ShouldBe(1);
            pair.PositiveText.ShouldNotContain("'");
            pair.NegativeText.ShouldBe(pair.PositiveText.Replace('"', '\''));
            pair.PositiveTokens.ShouldBe(_tokenizer.Encode(pair.PositiveText));
            pair.NegativeTokens.ShouldBe(_tokenizer.Encode(pair.NegativeText));
            pair.NegativeTokens.Length.ShouldBe(pair.PositiveTokens.Length);
            pair.PositiveTokens.Length.ShouldBeLessThanOrEqualTo(60);
            _tokenizer.Decode([.. pair.PositiveTokens, pair.PositiveAnswer]).ShouldBe(pair.PositiveText + "\")\n");
            _tokenizer.Decode([.. pair.NegativeTokens, pair.NegativeAnswer]).ShouldBe(pair.NegativeText + "')\n");
        }
    }

    [Theory]
    [InlineData(PromptSplit.Train)]
    [InlineData(PromptSplit.HeldOut)]
    [InlineData(PromptSplit.Test)]
    internal void GeneratePairs_ThousandsOfPairs_AreDistinct(PromptSplit split)
    {
        IReadOnlyList<PromptPair> pairs = _task.GeneratePairs(_tokenizer, 4000, 2, split, maxTokens: 80);

        pairs.Count.ShouldBe(4000);
        pairs.Select(pair => pair.PositiveText).Distinct().Count().ShouldBe(4000);
    }

    [Fact]
    public void GeneratePairs_EqualSeed_GivesTheSamePairsAndASmallerCountTheFirst()
    {
        string[] texts = Texts(100, seed: 7);

        Texts(100, seed: 7).ShouldBe(texts);
        Texts(30, seed: 7).ShouldBe(texts[..30]);
        Texts(100, seed: 8).ShouldNotBe(texts);
    }

    [Fact]
    public void GeneratePairs_PinnedSeed_GivesTheSamePromptsOnEveryMachine() => Texts(3, seed: 0).ShouldBe(
        ["if value is None:\n    x = 1\n    results.append(\"get empty data", "i = len(args)\nopen(\"number not valid", "if n > 0:\n    open(\"bad type expected"]);

    [Fact]
    public void Vocabulary_OfTwoSplits_SharesNothing()
    {
        QuoteVocabulary[] splits = [.. Enum.GetValues<PromptSplit>().Select(QuoteVocabulary.Of)];

        ShouldBeDisjoint(splits, words => words.PhraseWords);
        ShouldBeDisjoint(splits, words => words.Calls.Select(FunctionName));
        ShouldBeDisjoint(splits, words => words.Lines);
        ShouldBeDisjoint(splits, words => words.Blocks);
    }

    [Fact]
    public void Vocabulary_OfEverySplit_HasNoQuotesAndEndsPhrasesInLetters()
    {
        foreach (QuoteVocabulary words in Enum.GetValues<PromptSplit>().Select(QuoteVocabulary.Of))
        {
            words.PhraseWords.ShouldAllBe(word => word.All(char.IsAsciiLetterLower));
            words.Calls.Concat(words.Lines).Concat(words.Blocks).ShouldAllBe(text => !text.Contains('"') && !text.Contains('\''));
            words.Blocks.ShouldAllBe(line => line.EndsWith(':'));
        }
    }

    [Fact]
    public void GeneratePairs_PromptsTooLong_SaysHowManyFit() =>
        Should.Throw<ArgumentException>(() => _task.GeneratePairs(_tokenizer, 10, 0, PromptSplit.Train, maxTokens: 2)).Message.ShouldContain("only 0 distinct pairs");

    [Fact]
    public void GeneratePairs_AnswersWithOneFirstToken_AreDropped()
    {
        // Without merges the answer is the quote itself, so pairs remain; every kept pair has two answers.
        LabTokenizer bytes = BpeTrainer.Train([], 257, TestContext.Current.CancellationToken);

        IReadOnlyList<PromptPair> pairs = _task.GeneratePairs(bytes, 50, 0, PromptSplit.Test, maxTokens: 100);

        pairs.ShouldAllBe(pair => bytes.TokenText(pair.PositiveAnswer) == "\"" && bytes.TokenText(pair.NegativeAnswer) == "'");
    }

    [Fact]
    public void GeneratePairs_OnlyOneQuoteMergedWithItsBracket_DropsPairsOfUnequalLength()
    {
        LabTokenizer uneven = BpeTrainer.Train(Enumerable.Repeat("print(\"", 3), 300, TestContext.Current.CancellationToken);

        IReadOnlyList<PromptPair> pairs = _task.GeneratePairs(uneven, 40, 0, PromptSplit.HeldOut, maxTokens: 100);

        // Only where an argument comes first does the bracket stand apart from the quote.
        pairs.ShouldAllBe(pair => pair.PositiveText.Contains(", \""));
    }

    [Fact]
    public void Get_UnknownTask_NamesTheField() => Should.Throw<ArgumentException>(() => CircuitTask.Get("quotes")).ParamName.ShouldBe("config.task");

    private static string FunctionName(string call) => call[..call.IndexOf('(')].Split('.', ' ')[^1];

    private static void ShouldBeDisjoint(QuoteVocabulary[] splits, Func<QuoteVocabulary, IEnumerable<string>> select)
    {
        string[] all = [.. splits.SelectMany(select)];
        all.GroupBy(text => text).Where(group => group.Count() > 1).Select(group => group.Key).ShouldBeEmpty();
    }

    private string[] Texts(int count, long seed) =>
        [.. _task.GeneratePairs(_tokenizer, count, seed, PromptSplit.Train, maxTokens: 60).Select(pair => pair.PositiveText)];
}
