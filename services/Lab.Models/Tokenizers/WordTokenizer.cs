using System.Text;
using System.Text.RegularExpressions;

namespace Lab.Models.Tokenizers;

/// <summary>
/// A tokenizer of whole words, for dialogues: one token for each word, number or mark, cases distinct, and single tokens that mark turns.
/// What is not in the vocabulary becomes <c>&lt;|unknown|&gt;</c>; white space is not kept: a decoded text has one space before each word.
/// Safe for use by many threads.
/// </summary>
public sealed class WordTokenizer : ICorpusTokenizer
{
    /// <summary>The tokenizer's file.</summary>
    public const string FileName = "words.json";

    /// <summary>The texts of the special tokens with ids 0 to 3, in order.</summary>
    public const string UnknownToken = "<|unknown|>", UserToken = "<|user|>", AssistantToken = "<|assistant|>", EndOfTurnToken = "<|end|>";

    /// <summary>The id that stands for words outside the vocabulary: 0.</summary>
    public const int Unknown = 0;

    /// <summary>The id that begins the user's turn: 1.</summary>
    public const int User = 1;

    /// <summary>The id that begins the assistant's turn: 2.</summary>
    public const int Assistant = 2;

    /// <summary>The id that ends a turn: 3.</summary>
    public const int EndOfTurn = 3;

    internal const int SpecialCount = 4;

    private readonly string[] _tokens;
    private readonly byte[][] _bytes;
    private readonly Dictionary<string, int> _ids = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _idsBySpan;

    /// <summary>Makes a tokenizer of distinct words, which get the ids from 4 on; the last id is end of text.</summary>
    internal WordTokenizer(IEnumerable<string> words)
    {
        _tokens = [UnknownToken, UserToken, AssistantToken, EndOfTurnToken, .. words, LabTokenizer.EndOfTextToken];
        for (int id = SpecialCount; id < EndOfText; id++) _ids.Add(_tokens[id], id);
        _idsBySpan = _ids.GetAlternateLookup<ReadOnlySpan<char>>();
        _bytes = [.. _tokens.Select((token, id) => Encoding.UTF8.GetBytes(IsSpecial(id) || WordPieces.IsMark(token) ? token : " " + token))];
        SpecialTokens = new SpecialTokens
        {
            Bos = EndOfText,
            Eos = EndOfText,
            Unknown = Unknown,
            Stops = [EndOfText, EndOfTurn],
            ByText = Enumerable.Range(0, _tokens.Length).Where(IsSpecial).ToDictionary(id => _tokens[id]),
        };
    }

    /// <inheritdoc/>
    public int VocabSize => _tokens.Length;

    /// <inheritdoc/>
    public int EndOfText => _tokens.Length - 1;

    /// <summary>End of text also begins a sequence; end of text and end of turn both end a generation.</summary>
    public SpecialTokens SpecialTokens { get; }

    /// <summary>The words in order of their ids, from 4 on.</summary>
    internal ReadOnlySpan<string> Words => _tokens.AsSpan(SpecialCount, _tokens.Length - SpecialCount - 1);

    /// <summary>The id of a word; null if it is not in the vocabulary.</summary>
    public int? IdOf(string word) => _ids.TryGetValue(word, out int id) ? id : null;

    /// <inheritdoc/>
    public TokenizedText Encode(string text, EncodeOptions options)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(options);
        text = CodePoints.WellFormed(text);
        var builder = new TokenListBuilder(text, text.Length / 4);
        int at = 0;
        foreach ((int found, int id) in options.ParseSpecial ? FindSpecial(text) : [])
        {
            if (found < at) continue;
            AddWords(builder, at, found, found);
            builder.Add(id, new TextSpan(found, at = found + _tokens[id].Length));
        }

        AddWords(builder, at, text.Length, text.Length);
        return builder.Build(options.Bos, EndOfText, [], []);
    }

    /// <inheritdoc/>
    public void EncodeTo(ReadOnlySpan<char> text, List<int> ids)
    {
        ArgumentNullException.ThrowIfNull(ids);
        foreach (ValueMatch match in WordPieces.Of(text)) ids.Add(_idsBySpan.TryGetValue(text.Slice(match.Index, match.Length), out int id) ? id : Unknown);
    }

    /// <inheritdoc/>
    public string Decode(ReadOnlySpan<int> ids, bool skipSpecial = false)
    {
        var text = new StringBuilder();
        bool isStart = true;
        foreach (int id in ids)
        {
            bool isSpecial = IsSpecial(id);
            if (isSpecial && skipSpecial) continue;
            string token = TextOf(id);
            if (!isStart && !isSpecial && !WordPieces.IsMark(token)) text.Append(' ');
            text.Append(token);
            isStart = isSpecial && id != Unknown;
        }

        return text.ToString();
    }

    /// <inheritdoc/>
    public string TokenText(int id) => TokenDisplay.Of(TokenBytes(id));

    /// <inheritdoc/>
    public ReadOnlySpan<byte> TokenBytes(int id)
    {
        _ = TextOf(id);
        return _bytes[id];
    }

    /// <inheritdoc/>
    public void Save(string folder) => WordTokenizerFile.Save(this, Path.Combine(folder, FileName));

    /// <summary>Reads what <see cref="Save"/> wrote.</summary>
    /// <exception cref="InvalidDataException">The file is malformed; the message names it.</exception>
    public static WordTokenizer Load(string path) => WordTokenizerFile.Load(path);

    private string TextOf(int id) => (uint)id < (uint)_tokens.Length
        ? _tokens[id]
        : throw new ArgumentOutOfRangeException(nameof(id), id, $"Token {id} is not in the vocabulary of {VocabSize}.");

    private bool IsSpecial(int id) => id < SpecialCount || id == EndOfText;

    /// <summary>Adds the words of a part of the text; white space belongs to the word after it, and at the end to the last one.</summary>
    private void AddWords(TokenListBuilder builder, int start, int end, int limit)
    {
        ReadOnlySpan<char> text = builder.Text.AsSpan(start, end - start);
        int from = start, next = -1;
        TextSpan span = default;
        foreach (ValueMatch match in WordPieces.Of(text))
        {
            if (next >= 0) builder.Add(next, span);
            next = _idsBySpan.TryGetValue(text.Slice(match.Index, match.Length), out int id) ? id : Unknown;
            span = new TextSpan(from, from = start + match.Index + match.Length);
        }

        if (next >= 0) builder.Add(next, new TextSpan(span.Start, limit));
    }

    private IEnumerable<(int Index, int Id)> FindSpecial(string text) =>
        from id in Enumerable.Range(0, _tokens.Length)
        where IsSpecial(id)
        from index in TokenPositions.FindAll(text, _tokens[id]).Select(span => span.Start)
        orderby index
        select (index, id);
}
