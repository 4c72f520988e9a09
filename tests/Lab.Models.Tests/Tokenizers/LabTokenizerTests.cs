using Lab.Models.Tokenizers;
using Lab.Testing;

namespace Lab.Models.Tests.Tokenizers;

public sealed class LabTokenizerTests : IDisposable
{
    private readonly LabTokenizer _tokenizer = BpeTrainer.Train([SampleText.Python, "é😀é😀 ĠĠĊĊ"], 400, CancellationToken.None);
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("")]
    [InlineData(" ")]
    [InlineData("print(\"hello world\")\r\n\tprint('x')\n\n\n")]
    [InlineData("\ufefftab\tnul\0bell\a\u007f\u0085\u00a0\u2028\u3000")]
    [InlineData("😀 é e\u0301 日本語 ١٢٣٤ 𝐀𝐁 👩‍👩‍👧 \U0010ffff")]
    [InlineData("Ġ Ċ ĉ byte-alphabet letters")]
    [InlineData("a    b  \n   c\r\r\n")]
    public void Decode_OfEncoded_IsTheText(string text) => _tokenizer.Decode(_tokenizer.Encode(text)).ShouldBe(text);

    [Fact]
    public void Decode_OfEncodedRandomUnicode_IsTheText()
    {
        for (int seed = 0; seed < 200; seed++)
        {
            string text = SampleText.Random(seed, 100);
            _tokenizer.Decode(_tokenizer.Encode(text)).ShouldBe(text, $"seed {seed}");
        }
    }

    [Fact]
    public void Encode_AnyText_AppliesMergesInOrder()
    {
        foreach (string text in new[] { SampleText.Python, SampleText.Random(1, 300), "é😀é😀 ĠĠĊĊ" })
        {
            _tokenizer.Encode(text).ShouldBe(ReferenceBpe.Encode(_tokenizer, text));
        }
    }

    [Fact]
    public void Encode_Twice_GivesTheSameIds() => _tokenizer.Encode(SampleText.Python).ShouldBe(_tokenizer.Encode(SampleText.Python));

    [Fact]
    public void Encode_TextOfTheSpecialToken_NeverYieldsItsId()
    {
        int[] ids = _tokenizer.Encode("x <|endoftext|> y");

        ids.ShouldNotContain(_tokenizer.EndOfText);
        _tokenizer.Decode(ids).ShouldBe("x <|endoftext|> y");
        _tokenizer.Decode([_tokenizer.EndOfText]).ShouldBe("<|endoftext|>");
    }

    [Fact]
    public void Encode_UnpairedSurrogate_BecomesTheReplacementCharacter() => _tokenizer.Decode(_tokenizer.Encode("a\ud800b")).ShouldBe("a\ufffdb");

    [Fact]
    public void Encode_VeryLongPiece_IsLosslessAndCutBetweenCharacters()
    {
        string text = "x" + string.Concat(Enumerable.Repeat("😀", 5000)) + new string('a', 5001);

        _tokenizer.Decode(_tokenizer.Encode(text)).ShouldBe(text);
    }

    [Fact]
    public async Task Encode_FromManyThreads_GivesTheSameIds()
    {
        string[] texts = [.. Enumerable.Range(0, 50).Select(seed => SampleText.Random(seed, 50))];
        LabTokenizer fresh = BpeTrainer.Train([SampleText.Python], 300, TestContext.Current.CancellationToken);
        int[][][] results = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => texts.Select(fresh.Encode).ToArray())));

        foreach (int[][] result in results) result.ShouldBe(results[0]);
        results[0].Select(ids => fresh.Decode(ids)).ShouldBe(texts);
    }

    [Fact]
    public void TokenText_PartOfACharacter_ShowsTheByte()
    {
        int[] ids = BpeTrainer.Train([""], 257, TestContext.Current.CancellationToken).Encode("é");

        ids.Select(BpeTrainer.Train([""], 257, TestContext.Current.CancellationToken).TokenText).ShouldBe(["<0xC3>", "<0xA9>"]);
        _tokenizer.TokenText(_tokenizer.Encode(" ")[0]).ShouldBe(" ");
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(400)]
    public void Decode_IdOutOfRange_Throws(int id) => Should.Throw<ArgumentOutOfRangeException>(() => _tokenizer.Decode([id])).Message.ShouldContain($"{id}");

    [Fact]
    public void Load_OfSaved_EncodesAlike()
    {
        LabTokenizer loaded = SaveAndLoad();

        loaded.VocabSize.ShouldBe(_tokenizer.VocabSize);
        loaded.EndOfText.ShouldBe(_tokenizer.EndOfText);
        loaded.Merges.ShouldBe(_tokenizer.Merges);
        string text = SampleText.Python + SampleText.Random(7, 200);
        loaded.Encode(text).ShouldBe(_tokenizer.Encode(text));
    }

    [Fact]
    public void Save_Always_WritesGpt2Format()
    {
        SaveAndLoad();

        string[] merges = File.ReadAllLines(_folder["merges.txt"]);
        merges[0].ShouldBe("#version: 0.2");
        merges[1..].ShouldAllBe(line => line.Split(' ').Length == 2);
        string vocab = File.ReadAllText(_folder["vocab.json"]);
        vocab.ShouldContain("\"!\": 0,");
        vocab.ShouldContain($"\"<|endoftext|>\": {_tokenizer.VocabSize - 1}");
        vocab.ShouldContain("\"Ġ\":");
    }

    [Theory]
    [InlineData("vocab.json", "{", "vocab.json")]
    [InlineData("vocab.json", "{\"a\": 0}", "fewer than 257")]
    [InlineData("merges.txt", "#version: 0.2\nno-such-token x\n", "line 2")]
    [InlineData("merges.txt", "#version: 0.2\n", "holds 0 merges")]
    public void Load_MalformedFile_SaysWhich(string file, string content, string message)
    {
        SaveAndLoad();
        File.WriteAllText(_folder[file], content);

        Should.Throw<InvalidDataException>(Load).Message.ShouldContain(message);
    }

    [Fact]
    public void Load_MissingOrDuplicateId_Throws()
    {
        SaveAndLoad();
        string path = _folder["vocab.json"];
        File.WriteAllText(path, File.ReadAllText(path).Replace("\"!\": 0,", "\"!\": 1,", StringComparison.Ordinal));

        Should.Throw<InvalidDataException>(Load).Message.ShouldContain("each once");
    }

    [Fact]
    public void Encode_ThroughTheInterface_GivesTheSameIdsAndSpansThatTile()
    {
        string text = SampleText.Random(3, 300) + "aé😀";

        TokenizedText encoded = _tokenizer.Encode(text, EncodeOptions.Default);

        encoded.Ids.ShouldBe(_tokenizer.Encode(text));
        encoded.Bos.ShouldBe(BosState.Absent);
        encoded.Spans[0].Start.ShouldBe(0);
        encoded.Spans[^1].End.ShouldBe(text.Length);
        encoded.Spans.Zip(encoded.Spans.Skip(1)).ShouldAllBe(pair => pair.Second.Start == pair.First.End || pair.Second == pair.First || pair.Second.Start < pair.First.End);
    }

    [Fact]
    public void Encode_ThroughTheInterface_ParsesEndOfTextWhereAsked()
    {
        TokenizedText encoded = _tokenizer.Encode("a<|endoftext|>b", new EncodeOptions { ParseSpecial = true, Bos = BosPolicy.Always });

        encoded.Ids.ShouldBe([_tokenizer.EndOfText, .. _tokenizer.Encode("a"), _tokenizer.EndOfText, .. _tokenizer.Encode("b")]);
        encoded.Spans.ShouldBe([new TextSpan(0, 0), new TextSpan(0, 1), new TextSpan(1, 14), new TextSpan(14, 15)]);
        ((ITokenizer)_tokenizer).Decode(encoded.Ids, skipSpecial: true).ShouldBe("ab");
    }

    private LabTokenizer SaveAndLoad()
    {
        _tokenizer.Save(_folder.Path);
        return Load();
    }

    private LabTokenizer Load() => LabTokenizer.Load(_folder["vocab.json"], _folder["merges.txt"]);
}
