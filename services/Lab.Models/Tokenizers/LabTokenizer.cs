using System.Buffers;
using System.Collections.Concurrent;
using System.Text;
using Microsoft.ML.Tokenizers;

namespace Lab.Models.Tokenizers;

/// <summary>
/// A byte-level BPE tokenizer. Encoding is lossless: <c>Decode(Encode(text)) == text</c> for every valid Unicode string
/// (an unpaired surrogate becomes U+FFFD), and plain text never yields the end-of-text token. Safe for use by many threads.
/// </summary>
public sealed class LabTokenizer : ICorpusTokenizer
{
    /// <summary>The text of the end-of-text token, as it stands in vocab.json.</summary>
    public const string EndOfTextToken = "<|endoftext|>";

    private const int MaxCachedPieces = 1 << 17;
    private const int MaxCachedLength = 64;

    private readonly byte[][] _tokens;
    private readonly BpeTokenizer _encoder;
    private readonly ConcurrentDictionary<string, int[]> _cache = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, int[]>.AlternateLookup<ReadOnlySpan<char>> _cacheBySpan;
    private int _cachedPieces;

    /// <summary>Makes a tokenizer of the bytes of each token in order of ids, without the end-of-text token, which comes last.</summary>
    internal LabTokenizer(IReadOnlyList<byte[]> tokens, IReadOnlyList<(int Left, int Right)> merges)
    {
        _tokens = [.. tokens, Encoding.UTF8.GetBytes(EndOfTextToken)];
        Merges = merges;
        _cacheBySpan = _cache.GetAlternateLookup<ReadOnlySpan<char>>();
        _encoder = BpeTokenizer.Create(new BpeOptions(tokens.Select((t, id) => KeyValuePair.Create(Written(t), id)))
        {
            Merges = merges.Select(m => $"{WrittenToken(m.Left)} {WrittenToken(m.Right)}"),
            ByteLevel = true,
            PreTokenizer = new RegexPreTokenizer(PreTokens.Pattern(), null),
        });
    }

    /// <summary>Tokens in the vocabulary, the end-of-text token included.</summary>
    public int VocabSize => _tokens.Length;

    /// <summary>The id of the token that separates documents: the last one.</summary>
    public int EndOfText => _tokens.Length - 1;

    /// <summary>End of text also begins a sequence, as in GPT-2; it is not added unless asked for.</summary>
    public SpecialTokens SpecialTokens => new()
    {
        Bos = EndOfText,
        Eos = EndOfText,
        Stops = [EndOfText],
        ByText = new Dictionary<string, int> { [EndOfTextToken] = EndOfText },
    };

    /// <summary>The pairs of token ids that are merged, the most important first; merge i makes token 256 + i.</summary>
    internal IReadOnlyList<(int Left, int Right)> Merges { get; }

    /// <summary>Turns a text into token ids. The end-of-text token is never among them.</summary>
    public int[] Encode(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var ids = new List<int>(text.Length / 2);
        EncodeTo(text, ids);
        return [.. ids];
    }

    /// <summary>Appends the token ids of a text to a list.</summary>
    public void EncodeTo(ReadOnlySpan<char> text, List<int> ids)
    {
        ArgumentNullException.ThrowIfNull(ids);
        foreach (ReadOnlySpan<char> piece in PreTokens.Split(text)) ids.AddRange(EncodePiece(piece));
    }

    /// <inheritdoc/>
    public TokenizedText Encode(string text, EncodeOptions options)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(options);
        text = CodePoints.WellFormed(text);
        var builder = new TokenListBuilder(text, text.Length / 2);
        int start = 0;
        while (options.ParseSpecial && text.IndexOf(EndOfTextToken, start, StringComparison.Ordinal) is >= 0 and int found)
        {
            EncodeTo(builder, start, found);
            builder.Add(EndOfText, new TextSpan(found, start = found + EndOfTextToken.Length));
        }

        EncodeTo(builder, start, text.Length);
        return builder.Build(options.Bos, EndOfText, [], []);
    }

    /// <inheritdoc/>
    string ITokenizer.Decode(ReadOnlySpan<int> ids, bool skipSpecial) => skipSpecial ? Decode([.. ids.ToArray().Where(id => id != EndOfText)]) : Decode(ids);

    /// <summary>Turns token ids back into text. Bytes that are not UTF-8 on their own become U+FFFD.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An id is not in the vocabulary.</exception>
    public string Decode(ReadOnlySpan<int> ids)
    {
        var bytes = new ArrayBufferWriter<byte>(Math.Max(16, ids.Length * 4));
        foreach (int id in ids) bytes.Write(BytesOf(id));
        return Encoding.UTF8.GetString(bytes.WrittenSpan);
    }

    /// <summary>The text of one token, for display; bytes that are not UTF-8 on their own are shown as <c>&lt;0xE2&gt;</c>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The id is not in the vocabulary.</exception>
    public string TokenText(int id) => TokenDisplay.Of(BytesOf(id));

    /// <inheritdoc/>
    public ReadOnlySpan<byte> TokenBytes(int id) => BytesOf(id);

    /// <summary>Writes vocab.json and merges.txt in GPT-2's format to a folder that exists.</summary>
    public void Save(string folder) => TokenizerFiles.Save(this, folder);

    /// <summary>Reads what <see cref="Save"/> wrote.</summary>
    /// <exception cref="InvalidDataException">A file is malformed, or the two do not fit each other; the message names the file.</exception>
    public static LabTokenizer Load(string vocabJsonPath, string mergesPath) => TokenizerFiles.Load(vocabJsonPath, mergesPath);

    /// <summary>A token as it is written in vocab.json and merges.txt.</summary>
    internal string WrittenToken(int id) => id == EndOfText ? EndOfTextToken : Written(_tokens[id]);

    private static string Written(byte[] token) => string.Create(token.Length, token, static (characters, bytes) =>
    {
        for (int i = 0; i < bytes.Length; i++) characters[i] = ByteAlphabet.CharacterOf(bytes[i]);
    });

    private byte[] BytesOf(int id) => (uint)id < (uint)_tokens.Length
        ? _tokens[id]
        : throw new ArgumentOutOfRangeException(nameof(id), id, $"Token {id} is not in the vocabulary of {VocabSize}.");

    private void EncodeTo(TokenListBuilder builder, int start, int end)
    {
        foreach (ReadOnlySpan<char> piece in PreTokens.Split(builder.Text.AsSpan(start, end - start)))
        {
            var cursor = new ByteCursor(piece);
            foreach (int id in EncodePiece(piece))
            {
                TextSpan span = cursor.Take(_tokens[id].Length);
                builder.Add(id, new TextSpan(start + span.Start, start + span.End));
            }

            start += piece.Length;
        }
    }

    private ReadOnlySpan<int> EncodePiece(ReadOnlySpan<char> piece)
    {
        if (_cacheBySpan.TryGetValue(piece, out int[]? ids)) return ids;
        string text = piece.ToString();

        // Through UTF-8 and back, since the encoder takes an unpaired surrogate for three unrelated bytes.
        string wellFormed = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));
        ids = [.. _encoder.EncodeToIds(wellFormed, considerPreTokenization: false, considerNormalization: false)];
        if (text.Length <= MaxCachedLength && Volatile.Read(ref _cachedPieces) < MaxCachedPieces && _cache.TryAdd(text, ids))
        {
            Interlocked.Increment(ref _cachedPieces);
        }

        return ids;
    }
}
