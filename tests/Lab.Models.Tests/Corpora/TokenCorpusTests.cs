using Lab.Artifacts;
using Lab.Models.Corpora;
using Lab.Models.Tests.Tokenizers;
using Lab.Models.Tokenizers;
using Lab.Testing;

namespace Lab.Models.Tests.Corpora;

public sealed class TokenCorpusTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly LabTokenizer _tokenizer = BpeTrainer.Train([SampleText.Python], 300, CancellationToken.None);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Open_OfWritten_HoldsTheDocumentsEachEnded()
    {
        Write("first", SampleText.Python);

        using TokenCorpus corpus = TokenCorpus.Open(_folder.Path);

        int[] expected = [.. _tokenizer.Encode("first"), _tokenizer.EndOfText, .. _tokenizer.Encode(SampleText.Python), _tokenizer.EndOfText];
        corpus.Train.Length.ShouldBe(expected.Length);
        corpus.Info.TrainTokens.ShouldBe(expected.Length);
        ReadAll(corpus.Train).ShouldBe(expected.Select(id => (long)id));
        ReadAll(corpus.HeldOut).ShouldBe([.. _tokenizer.Encode("held out").Select(id => (long)id), _tokenizer.EndOfText]);
        corpus.Tokenizer.ShouldBeOfType<LabTokenizer>().Merges.ShouldBe(_tokenizer.Merges);
        corpus.Info.Source.ShouldBe("folder");
    }

    [Fact]
    public void Read_LongRangeAtAnOffset_IsThatPartOfTheWhole()
    {
        Write(Enumerable.Repeat(SampleText.Python, 20).ToArray());
        using TokenCorpus corpus = TokenCorpus.Open(_folder.Path);
        long[] all = ReadAll(corpus.Train);
        all.Length.ShouldBeGreaterThan(4000);

        long[] part = new long[3000];
        corpus.Train.Read(517, part);

        part.ShouldBe(all[517..3517]);
    }

    [Theory]
    [InlineData(-1, 1)]
    [InlineData(0, 7)]
    [InlineData(6, 1)]
    [InlineData(long.MaxValue, 1)]
    public void Read_OutOfRange_Throws(long offset, int count)
    {
        Write("12345");
        using TokenCorpus corpus = TokenCorpus.Open(_folder.Path);
        corpus.Train.Length.ShouldBeLessThan(7);

        Should.Throw<ArgumentOutOfRangeException>(() => corpus.Train.Read(offset, new long[count]));
    }

    [Fact]
    public void Read_AfterDispose_Throws()
    {
        Write("12345");
        TokenCorpus corpus = TokenCorpus.Open(_folder.Path);
        corpus.Dispose();

        Should.Throw<ObjectDisposedException>(() => corpus.Train.Read(0, new long[1]));
    }

    [Fact]
    public void Read_IdOutsideTheVocabulary_NamesTheFileAndPosition()
    {
        Write("12345");
        byte[] bytes = File.ReadAllBytes(_folder["train.bin"]);
        bytes[3] = 0xFF;
        File.WriteAllBytes(_folder["train.bin"], bytes);
        using TokenCorpus corpus = TokenCorpus.Open(_folder.Path);

        Should.Throw<InvalidDataException>(() => ReadAll(corpus.Train)).Message.ShouldSatisfyAllConditions(m => m.ShouldContain("train.bin"), m => m.ShouldContain("token 1,"));
    }

    [Fact]
    public void Open_EmptySplit_HasLengthZero()
    {
        using (var writer = new TokenCorpusWriter(_folder.Path, _tokenizer))
        {
            writer.Append("text", isHeldOut: false);
            writer.Complete(info => info);
        }

        using TokenCorpus corpus = TokenCorpus.Open(_folder.Path);

        corpus.HeldOut.Length.ShouldBe(0);
        corpus.HeldOut.Read(0, []);
    }

    [Fact]
    public void Open_WideTokens_ReadsThem()
    {
        Write("12345");
        using (TokenCorpus narrow = TokenCorpus.Open(_folder.Path))
        {
            byte[] wide = [.. ReadAll(narrow.Train).SelectMany(id => BitConverter.GetBytes((int)id))];
            byte[] wideHeldOut = [.. ReadAll(narrow.HeldOut).SelectMany(id => BitConverter.GetBytes((int)id))];
            File.WriteAllBytes(_folder["train.bin"], wide);
            File.WriteAllBytes(_folder["held_out.bin"], wideHeldOut);
        }

        Replace("corpus.json", "uint16", "int32");
        using TokenCorpus corpus = TokenCorpus.Open(_folder.Path);

        ReadAll(corpus.Train).ShouldBe([.. _tokenizer.Encode("12345").Select(id => (long)id), _tokenizer.EndOfText]);
    }

    [Theory]
    [InlineData("corpus.json", "\"format\": 1", "\"format\": 2", "format 2")]
    [InlineData("corpus.json", "uint16", "uint8", "uint8")]
    [InlineData("corpus.json", "\"train_tokens\": ", "\"train_tokens\": 1", "train.bin")]
    [InlineData("corpus.json", "\"held_out_tokens\": ", "\"held_out_tokens\": -", "held_out.bin")]
    [InlineData("corpus.json", "\"vocab_size\": ", "\"vocab_size\": 1", "corpus.json")]
    [InlineData("corpus.json", "{", "[", "corpus.json")]
    public void Open_Malformed_SaysWhatIsWrong(string file, string from, string to, string message)
    {
        Write("12345");
        Replace(file, from, to);

        Should.Throw<InvalidDataException>(() => TokenCorpus.Open(_folder.Path)).Message.ShouldContain(message);
    }

    [Theory]
    [InlineData("uint16", 1L << 63)]
    [InlineData("int32", 1L << 62)]
    public void Open_CountWhoseBytesOverflow_SaysWhatIsWrong(string type, long added)
    {
        Write("12345");
        using (TokenCorpus corpus = TokenCorpus.Open(_folder.Path))
            Replace("corpus.json", $"\"train_tokens\": {corpus.Train.Length}", $"\"train_tokens\": {unchecked((8 / (type == "int32" ? 4 : 2)) + added)}");
        Replace("corpus.json", "uint16", type);
        File.WriteAllBytes(_folder["train.bin"], new byte[8]);

        Should.Throw<InvalidDataException>(() => TokenCorpus.Open(_folder.Path)).Message.ShouldContain("train.bin");
    }

    [Fact]
    public async Task Open_FromTheStore_ReadsTheArtifact()
    {
        var store = new ArtifactStore(_folder["store"]);
        var provenance = new ArtifactProvenance("test", new Dictionary<string, string>(), [], 0);
        StoredArtifact artifact = await store.PutAsync(TokenCorpus.Kind, provenance, (folder, _) =>
        {
            WriteTo(folder, "text");
            return Task.CompletedTask;
        }, TestContext.Current.CancellationToken);

        using TokenCorpus corpus = TokenCorpus.Open(store, artifact);

        corpus.Train.Length.ShouldBe(_tokenizer.Encode("text").Length + 1);
        Should.Throw<ArgumentException>(() => TokenCorpus.Open(store, artifact with { Kind = "model" })).Message.ShouldContain("model");
    }

    private static long[] ReadAll(TokenSplit split)
    {
        long[] ids = new long[split.Length];
        split.Read(0, ids);
        return ids;
    }

    private void Write(params string[] documents) => WriteTo(_folder.Path, documents);

    private void WriteTo(string folder, params string[] documents)
    {
        using var writer = new TokenCorpusWriter(folder, _tokenizer);
        foreach (string document in documents) writer.Append(document, isHeldOut: false);
        writer.Append("held out", isHeldOut: true);
        writer.Complete(info => info with { Source = "folder" });
    }

    private void Replace(string file, string from, string to)
    {
        string path = _folder[file];
        string text = File.ReadAllText(path);
        text.ShouldContain(from);
        File.WriteAllText(path, text.Replace(from, to, StringComparison.Ordinal));
    }
}
