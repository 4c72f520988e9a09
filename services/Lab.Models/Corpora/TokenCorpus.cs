using System.Text.Json;
using Lab.Artifacts;
using Lab.Models.Tokenizers;

namespace Lab.Models.Corpora;

/// <summary>
/// A tokenized corpus, memory-mapped: train.bin, held_out.bin, corpus.json, and vocab.json and merges.txt, or words.json. Safe for use by many threads.
/// </summary>
public sealed class TokenCorpus : IDisposable
{
    /// <summary>The kind of a corpus in the artifact store.</summary>
    public const string Kind = "corpus";

    private TokenCorpus(CorpusInfo info, ICorpusTokenizer tokenizer, TokenSplit train, TokenSplit heldOut) =>
        (Info, Tokenizer, Train, HeldOut) = (info, tokenizer, train, heldOut);

    /// <summary>What corpus.json says.</summary>
    public CorpusInfo Info { get; }

    /// <summary>The tokens to train on.</summary>
    public TokenSplit Train { get; }

    /// <summary>The tokens held out, of other documents than those of <see cref="Train"/>.</summary>
    public TokenSplit HeldOut { get; }

    /// <summary>The tokenizer that made the tokens.</summary>
    public ICorpusTokenizer Tokenizer { get; }

    /// <summary>Opens a corpus of the artifact store.</summary>
    /// <exception cref="ArgumentException">The artifact is not a corpus.</exception>
    /// <exception cref="InvalidDataException">A file is malformed; the message names it.</exception>
    public static TokenCorpus Open(ArtifactStore store, StoredArtifact artifact)
    {
        ArgumentNullException.ThrowIfNull(store);
        ArgumentNullException.ThrowIfNull(artifact);
        if (artifact.Kind != Kind) throw new ArgumentException($"{artifact.Digest} is a {artifact.Kind}, not a {Kind}.", nameof(artifact));
        return Open(file => artifact.Files.Any(stored => stored.Path == file), file => store.GetPath(artifact, file));
    }

    /// <summary>Opens a corpus that lies in a folder.</summary>
    /// <exception cref="InvalidDataException">A file is malformed; the message names it.</exception>
    public static TokenCorpus Open(string folder) => Open(file => File.Exists(Path.Combine(folder, file)), file => Path.Combine(folder, file));

    /// <summary>Closes the files. Reads fail afterwards.</summary>
    public void Dispose()
    {
        Train.Dispose();
        HeldOut.Dispose();
    }

    private static TokenCorpus Open(Func<string, bool> has, Func<string, string> path)
    {
        string infoPath = path(CorpusInfo.FileName);
        CorpusInfo info = ReadInfo(infoPath);
        ICorpusTokenizer tokenizer = CorpusTokenizer.Load(has, path);
        if (tokenizer.VocabSize != info.VocabSize || tokenizer.EndOfText != info.EndOfText)
        {
            throw new InvalidDataException($"{infoPath} is of {info.VocabSize} tokens, the tokenizer of {tokenizer.VocabSize}.");
        }

        bool isWide = info.TokenType switch
        {
            "uint16" => false,
            "int32" => true,
            _ => throw new InvalidDataException($"{infoPath}: the token type '{info.TokenType}' is neither uint16 nor int32."),
        };
        TokenSplit train = TokenSplit.Open(path(TokenSplit.TrainFile), isWide, info.TrainTokens, info.VocabSize);
        try
        {
            return new TokenCorpus(info, tokenizer, train, TokenSplit.Open(path(TokenSplit.HeldOutFile), isWide, info.HeldOutTokens, info.VocabSize));
        }
        catch
        {
            train.Dispose();
            throw;
        }
    }

    private static CorpusInfo ReadInfo(string path)
    {
        try
        {
            CorpusInfo info = JsonSerializer.Deserialize<CorpusInfo>(File.ReadAllBytes(path), CorpusInfo.Json) ?? throw new InvalidDataException($"{path} is empty.");
            return info.Format == 1 ? info : throw new InvalidDataException($"{path} is of format {info.Format}; this version reads format 1.");
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"{path} is malformed: {e.Message}", e);
        }
    }
}
