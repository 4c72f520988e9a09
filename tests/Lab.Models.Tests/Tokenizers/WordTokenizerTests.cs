using Lab.Models.Tokenizers;
using Lab.Testing;

namespace Lab.Models.Tests.Tokenizers;

public sealed class WordTokenizerTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly WordTokenizer _tokenizer = WordVocabulary.Train(["tell me about dust .", "don't tell me , dust ! 42"], 100, CancellationToken.None);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Train_Texts_MakesWordsByFrequencyAfterTheSpecialTokens()
    {
        Enumerable.Range(0, _tokenizer.VocabSize).Select(_tokenizer.TokenText).ShouldBe(
            ["<|unknown|>", "<|user|>", "<|assistant|>", "<|end|>", " dust", " me", " tell", "!", ",", ".", " 42", " about", " don't", "<|endoftext|>"]);
        _tokenizer.EndOfText.ShouldBe(13);
        _tokenizer.SpecialTokens.Stops.ShouldBe([13, 3]);
        WordVocabulary.Train(["a a b b b c"], 7, TestContext.Current.CancellationToken).IdOf("c").ShouldBeNull();
    }

    [Theory]
    [InlineData("tell me about dust.", "tell me about dust.")]
    [InlineData("  tell   me,\n dust!  ", "tell me, dust!")]
    [InlineData("don't tell 42", "don't tell 42")]
    [InlineData("", "")]
    public void Decode_OfEncoded_IsTheTextWithSingleSpaces(string text, string expected) => _tokenizer.Decode(Ids(text)).ShouldBe(expected);

    [Fact]
    public void Encode_UnknownWordsAndMarkersAsText_AreUnknown()
    {
        Ids("tell Tell 😀 dusty").ShouldBe([_tokenizer.IdOf("tell")!.Value, 0, 0, 0]);
        Ids("<|user|>").ShouldNotContain(WordTokenizer.User);
        Ids("<|endoftext|>").ShouldNotContain(_tokenizer.EndOfText);
    }

    [Fact]
    public void Encode_ParsedMarkers_AreSingleTokensAndSpansLeaveNoGap()
    {
        const string Text = "<|user|> tell me <|end|><|assistant|>dust  ";

        TokenizedText encoded = _tokenizer.Encode(Text, new EncodeOptions { ParseSpecial = true });

        encoded.Ids.ShouldBe([WordTokenizer.User, Id("tell"), Id("me"), WordTokenizer.EndOfTurn, WordTokenizer.Assistant, Id("dust")]);
        encoded.Spans.Select(span => Text[span.Start..span.End]).ShouldBe(["<|user|>", " tell", " me ", "<|end|>", "<|assistant|>", "dust  "]);
        _tokenizer.Decode(encoded.Ids).ShouldBe("<|user|>tell me<|end|><|assistant|>dust");
        _tokenizer.Decode(encoded.Ids, skipSpecial: true).ShouldBe("tell me dust");
    }

    [Fact]
    public void Encode_BosDemanded_IsEndOfText() =>
        _tokenizer.Encode("dust", new EncodeOptions { Bos = BosPolicy.Always }).Ids.ShouldBe([_tokenizer.EndOfText, Id("dust")]);

    [Fact]
    public void Load_OfSaved_IsTheSameAndIsFoundInAFolder()
    {
        _tokenizer.Save(_folder.Path);

        var loaded = TokenizerFolder.Load(_folder.Path).ShouldBeOfType<WordTokenizer>();

        Enumerable.Range(0, loaded.VocabSize).Select(loaded.TokenText).ShouldBe(Enumerable.Range(0, _tokenizer.VocabSize).Select(_tokenizer.TokenText));
        CorpusTokenizer.Load(name => File.Exists(_folder[name]), name => _folder[name]).ShouldBeOfType<WordTokenizer>();
    }

    [Theory]
    [InlineData("""{"format":1,"words":["a","a"]}""", "twice")]
    [InlineData("""{"format":1,"words":["a b"]}""", "a b")]
    [InlineData("""{"format":1,"words":[""]}""", "one word")]
    [InlineData("""{"format":1,"words":[null]}""", "one word")]
    [InlineData("""{"format":2,"words":["a"]}""", "format 1")]
    [InlineData("""{"format":1}""", "list of words")]
    [InlineData("""[]""", "malformed")]
    public void Load_Malformed_SaysWhatIsWrong(string json, string message)
    {
        File.WriteAllText(_folder["words.json"], json);

        Should.Throw<InvalidDataException>(() => WordTokenizer.Load(_folder["words.json"])).Message.ShouldSatisfyAllConditions(m => m.ShouldContain("words.json"), m => m.ShouldContain(message));
    }

    [Fact]
    public void TokenText_OutsideTheVocabulary_Throws()
    {
        Should.Throw<ArgumentOutOfRangeException>(() => _tokenizer.TokenText(14));
        Should.Throw<ArgumentOutOfRangeException>(() => _tokenizer.Decode([-1]));
    }

    private int Id(string word) => _tokenizer.IdOf(word)!.Value;

    private int[] Ids(string text)
    {
        var ids = new List<int>();
        _tokenizer.EncodeTo(text, ids);
        _tokenizer.Encode(text, EncodeOptions.Default).Ids.ShouldBe(ids);
        return [.. ids];
    }
}
