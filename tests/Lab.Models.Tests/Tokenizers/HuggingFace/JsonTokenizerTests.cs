using Lab.Models.Tokenizers;

namespace Lab.Models.Tests.Tokenizers.HuggingFace;

public sealed class JsonTokenizerTests
{
    public static TheoryData<string> Families => [.. FamilyCase.Families];

    /// <summary>In the order of the text and with no gap, each at the borders of code points.</summary>
    [Theory]
    [InlineData("gpt2")]
    [InlineData("llama2")]
    [InlineData("llama3")]
    [InlineData("mistral")]
    [InlineData("tekken")]
    [InlineData("qwen2")]
    [InlineData("gemma3")]
    [InlineData("metaspace")]
    public void Encode_AnyText_SpansTileIt(string family)
    {
        ITokenizer tokenizer = Load(family);
        for (int seed = 0; seed < 100; seed++)
        {
            string text = SampleText.Random(seed, 120);
            int covered = 0;
            int lastStart = 0;
            foreach (TextSpan span in tokenizer.Encode(text, EncodeOptions.Default).Spans)
            {
                span.Start.ShouldBeInRange(lastStart, covered, $"seed {seed}");
                span.End.ShouldBeGreaterThanOrEqualTo(span.Start, $"seed {seed}");
                foreach (int border in new[] { span.Start, span.End }) (border > 0 && border < text.Length && char.IsLowSurrogate(text[border])).ShouldBeFalse($"seed {seed}");
                lastStart = span.Start;
                covered = Math.Max(covered, span.End);
            }

            covered.ShouldBe(text.Length, $"seed {seed}");
        }
    }

    [Theory]
    [InlineData("gpt2")]
    [InlineData("llama2")]
    [InlineData("llama3")]
    [InlineData("tekken")]
    [InlineData("gemma3")]
    public void Decode_OfEncodedRandomUnicode_IsTheText(string family)
    {
        ITokenizer tokenizer = Load(family);
        for (int seed = 0; seed < 100; seed++)
        {
            string text = SampleText.Random(seed, 100);
            tokenizer.Decode(tokenizer.Encode(text, EncodeOptions.Default).Ids, skipSpecial: true).ShouldBe(text, $"seed {seed}");
        }
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Encode_SpecialTokensNotParsed_AreText(string family)
    {
        ITokenizer tokenizer = Load(family);
        tokenizer.SpecialTokens.ByText.ShouldNotBeEmpty();
        foreach ((string special, int id) in tokenizer.SpecialTokens.ByText)
        {
            string text = $"a {special}b{special}{special} c";
            var options = new EncodeOptions { Bos = BosPolicy.Never };

            tokenizer.Encode(text, options with { ParseSpecial = true }).Ids.Count(token => token == id).ShouldBe(3, special);
            if (special == tokenizer.SpecialTokens.ByText.FirstOrDefault(token => token.Value == tokenizer.SpecialTokens.Unknown).Key) continue;
            tokenizer.Encode(text, options).Ids.ShouldNotContain(id, special);
        }
    }

    [Fact]
    public void Encode_AddedTokenThatIsNotSpecial_IsAlwaysRecognised()
    {
        ITokenizer tokenizer = Load("qwen2");

        int[] ids = tokenizer.Encode("a<tool_call>", EncodeOptions.Default).Ids;

        tokenizer.TokenText(ids[^1]).ShouldBe("<tool_call>");
        tokenizer.SpecialTokens.ByText.Keys.ShouldBe(["<|endoftext|>", "<|im_start|>", "<|im_end|>"], ignoreOrder: true);
    }

    [Theory]
    [InlineData("llama2", BosPolicy.Default, "a", BosState.Added)]
    [InlineData("llama2", BosPolicy.Always, "a", BosState.Added)]
    [InlineData("llama2", BosPolicy.Never, "a", BosState.Absent)]
    [InlineData("llama2", BosPolicy.Default, "<s>a", BosState.InText)]
    [InlineData("llama2", BosPolicy.Always, "<s>a", BosState.InText)]
    [InlineData("llama2", BosPolicy.Never, "<s>a", BosState.InText)]
    [InlineData("llama3", BosPolicy.Default, "", BosState.Added)]
    public void Encode_Bos_IsThereOnceAndToldOf(string family, BosPolicy policy, string text, BosState expected)
    {
        using var folder = new FamilyFolder(family);
        folder.Write("special_tokens_map.json", family == "llama2" ? """{"bos_token": {"content": "<s>", "lstrip": false}}""" : """{"bos_token": "<|begin_of_text|>"}""");
        ITokenizer tokenizer = folder.Load();

        TokenizedText encoded = tokenizer.Encode(text, new EncodeOptions { Bos = policy, ParseSpecial = true });

        encoded.Bos.ShouldBe(expected);
        encoded.Ids.Count(id => id == tokenizer.SpecialTokens.Bos).ShouldBe(expected == BosState.Absent ? 0 : 1);
        if (expected != BosState.Absent) encoded.Ids[0].ShouldBe(tokenizer.SpecialTokens.Bos!.Value);
    }

    [Fact]
    public void Encode_TextOfBosNotParsed_GetsOne()
    {
        using var folder = new FamilyFolder("llama2");
        folder.Write("special_tokens_map.json", """{"bos_token": "<s>"}""");

        TokenizedText encoded = folder.Load().Encode("<s>a", EncodeOptions.Default);

        encoded.Bos.ShouldBe(BosState.Added);
        encoded.Ids.Count(id => id == 1).ShouldBe(1);
    }

    [Fact]
    public void Encode_BosOfATokenizerWithoutOne_Throws() =>
        Should.Throw<ArgumentException>(() => Load("qwen2").Encode("a", new EncodeOptions { Bos = BosPolicy.Always })).ParamName.ShouldBe("bos");

    [Fact]
    public void Encode_CharacterWithoutAToken_SaysWhich()
    {
        using var folder = new FamilyFolder("metaspace");
        folder.Replace("\"unk_token\":\"<unk>\"", "\"unk_token\":null");

        ArgumentException error = Should.Throw<ArgumentException>(() => folder.Load().Encode("a日", EncodeOptions.Default));

        error.ParamName.ShouldBe("text");
        error.Message.ShouldContain("日");
    }

    [Fact]
    public void Encode_ContinuedSequence_GetsNeitherBosNorPrefix()
    {
        ITokenizer tokenizer = Load("mistral");
        int[] first = tokenizer.Encode("the", EncodeOptions.Default).Ids;
        int[] continued = tokenizer.Encode("the", new EncodeOptions { ContinuesSequence = true }).Ids;

        string.Concat(first.Select(tokenizer.TokenText)).ShouldBe("<s> the");
        string.Concat(continued.Select(tokenizer.TokenText)).ShouldBe("the");
    }

    [Fact]
    public void TokenAt_PartsOfACharacter_IsTheFirstOfThem()
    {
        TokenizedText encoded = Load("llama2").Encode("a日b", new EncodeOptions { Bos = BosPolicy.Never });

        int first = encoded.TokenAt(1)!.Value;
        encoded.TokensOf(new TextSpan(1, 2)).ShouldBe([first, first + 1, first + 2]);
        encoded.TokenAt(3).ShouldBeNull();
    }

    [Theory]
    [InlineData("the", null)]
    [InlineData("the", 0)]
    [InlineData("the", 2)]
    [InlineData("the", -1)]
    [InlineData("aa", null)]
    [InlineData("aa", 1)]
    [InlineData("日", null)]
    [InlineData("x", null)]
    [InlineData("the", 3)]
    [InlineData("the", -4)]
    public void TokensOf_Substring_AreThoseThatCoverIt(string substring, int? occurrence)
    {
        const string Text = "the cat, the 日日 aaa other aaaaa.";
        TokenizedText encoded = Load("llama2").Encode(Text, EncodeOptions.Default);
        int[] starts = [.. System.Text.RegularExpressions.Regex.Matches(Text, substring).Select(match => match.Index)];
        if (occurrence is { } one) starts = [.. starts.Where((_, i) => i == one || i - starts.Length == one)];

        int[] expected = [.. Enumerable.Range(0, encoded.Ids.Length).Where(i => starts.Any(start => encoded.Spans[i].Overlaps(new TextSpan(start, start + substring.Length))))];

        encoded.TokensOf(substring, occurrence).ShouldBe(expected);
        (expected.Length == 0).ShouldBe(substring == "x" || occurrence is 3 or -4);
    }

    /// <summary>The other way round: from ids to text gives the same spans as from text to ids, where nothing is normalized.</summary>
    [Theory]
    [InlineData("gpt2")]
    [InlineData("llama3")]
    [InlineData("tekken")]
    [InlineData("gemma3")]
    public void FromIds_OfEncodedText_GivesItsTextAndSpans(string family)
    {
        ITokenizer tokenizer = Load(family);
        for (int seed = 0; seed < 50; seed++)
        {
            TokenizedText encoded = tokenizer.Encode(SampleText.Random(seed, 80), new EncodeOptions { Bos = BosPolicy.Never });

            TokenizedText decoded = TokenizedText.FromIds(tokenizer, encoded.Ids);

            decoded.Text.ShouldBe(encoded.Text, $"seed {seed}");
            decoded.Spans.ShouldBe(encoded.Spans, $"seed {seed}");
        }
    }

    [Fact]
    public void FromIds_PartsOfCharacters_ShareTheReplacementCharacter()
    {
        ITokenizer tokenizer = Load("llama2");
        int[] ids = tokenizer.Encode("日", new EncodeOptions { Bos = BosPolicy.Never }).Ids[^3..];

        TokenizedText whole = TokenizedText.FromIds(tokenizer, [1, .. ids]);
        TokenizedText part = TokenizedText.FromIds(tokenizer, ids.AsSpan(0, 2));

        whole.Text.ShouldBe("<s>日");
        whole.Spans.ShouldBe([new TextSpan(0, 3), new TextSpan(3, 4), new TextSpan(3, 4), new TextSpan(3, 4)]);
        part.Text.ShouldBe("\ufffd");
        part.Spans.ShouldBe([new TextSpan(0, 1), new TextSpan(0, 1)]);
        TokenizedText.FromIds(tokenizer, []).Text.ShouldBe("");
    }

    [Fact]
    public void TokenText_OfEachKind_IsReadable()
    {
        ITokenizer llama = Load("llama2");

        llama.TokenText(llama.Encode("the", EncodeOptions.Default).Ids[1]).ShouldBe(" the");
        llama.Encode("日", new EncodeOptions { Bos = BosPolicy.Never }).Ids[^3..].Select(llama.TokenText).ShouldBe(["<0xE6>", "<0x97>", "<0xA5>"]);
        Should.Throw<ArgumentOutOfRangeException>(() => llama.TokenText(llama.VocabSize));
        Should.Throw<ArgumentOutOfRangeException>(() => llama.Decode([-1]));
    }

    [Fact]
    public void Encode_UnpairedSurrogate_IsTheReplacementCharacter()
    {
        ITokenizer tokenizer = Load("llama3");

        tokenizer.Decode(tokenizer.Encode("a\ud800b\udc00", EncodeOptions.Default).Ids, skipSpecial: true).ShouldBe("a\ufffdb\ufffd");
    }

    [Fact]
    public async Task Encode_FromManyThreads_GivesTheSameIds()
    {
        ITokenizer tokenizer = Load("gemma3");
        string[] texts = [.. Enumerable.Range(0, 40).Select(seed => SampleText.Random(seed, 80))];

        int[][][] results = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => texts.Select(text => tokenizer.Encode(text, EncodeOptions.Default).Ids).ToArray())));

        foreach (int[][] result in results) result.ShouldBe(results[0]);
    }

    private static ITokenizer Load(string family) => TokenizerFolder.Load(FamilyCase.FolderOf(family)).ShouldNotBeNull();
}
