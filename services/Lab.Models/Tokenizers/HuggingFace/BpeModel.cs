using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Microsoft.ML.Tokenizers;

namespace Lab.Models.Tokenizers.HuggingFace;

/// <summary>
/// Turns a piece of text into tokens. Short pieces of byte-level vocabularies are merged by Microsoft.ML.Tokenizers; it has no
/// byte fallback and its time grows with the square of a piece's length, so all others are merged by <see cref="PairMerger"/>.
/// </summary>
internal sealed class BpeModel
{
    private const int MaxCachedPieces = 1 << 17;
    private const int MaxCachedLength = 64;

    // Longer pieces are cut first: vocabularies of SentencePiece take a whole text for one piece.
    private const int MaxUncutLength = 24;

    private readonly BpeVocabulary _vocabulary;
    private readonly BpeAlphabet _alphabet;
    private readonly BpeTokenizer? _encoder;
    private readonly int[] _lengths;
    private readonly Lazy<HashSet<ulong>> _junctions;
    private readonly ConcurrentDictionary<string, BpeSymbol[]> _cache = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, BpeSymbol[]>.AlternateLookup<ReadOnlySpan<char>> _cacheBySpan;
    private int _cachedPieces;

    public BpeModel(BpeVocabulary vocabulary, bool isByteLevel)
    {
        _vocabulary = vocabulary;
        _alphabet = new BpeAlphabet(vocabulary, isByteLevel);
        _lengths = new int[vocabulary.Ids.Values.Max() + 1];
        foreach ((string token, int id) in vocabulary.Ids) _lengths[id] = token.Length;
        _junctions = new Lazy<HashSet<ulong>>(FindJunctions);
        _cacheBySpan = _cache.GetAlternateLookup<ReadOnlySpan<char>>();
        if (isByteLevel && _alphabet.HasAllBytes) _encoder = NewEncoder(vocabulary);
    }

    /// <summary>Appends the tokens of a piece of well-formed text.</summary>
    /// <exception cref="ArgumentException">A character has no token.</exception>
    public void Encode(ReadOnlySpan<char> piece, List<BpeSymbol> tokens)
    {
        if (_vocabulary.IgnoresMerges && WholeToken(piece) is { } whole) tokens.Add(whole);
        else if (piece.Length <= MaxUncutLength) tokens.AddRange(EncodePart(piece));
        else EncodeByParts(piece, tokens);
    }

    /// <summary>Cuts where no merge can join what lies on the two sides, so that the parts can be encoded one by one.</summary>
    private void EncodeByParts(ReadOnlySpan<char> piece, List<BpeSymbol> tokens)
    {
        var symbols = new List<BpeSymbol>(4);
        int start = 0;
        int last = -1;
        for (int i = 0, length; i < piece.Length; i += length)
        {
            length = CodePoints.LengthAt(piece, i);
            symbols.Clear();
            _alphabet.Append(piece.Slice(i, length), symbols);
            int first = symbols[0].Id;
            if (i > start && !_junctions.Value.Contains(BpeVocabulary.Pair(last, first)) && !_alphabet.Fuses(last, first))
            {
                tokens.AddRange(EncodePart(piece[start..i]));
                start = i;
            }

            last = symbols[^1].Id;
        }

        tokens.AddRange(EncodePart(piece[start..]));
    }

    private ReadOnlySpan<BpeSymbol> EncodePart(ReadOnlySpan<char> part)
    {
        if (_cacheBySpan.TryGetValue(part, out BpeSymbol[]? tokens)) return tokens;
        string text = part.ToString();
        tokens = _encoder is not null && part.Length <= MaxCachedLength
            ? [.. _encoder.EncodeToIds(text, considerPreTokenization: false, considerNormalization: false).Select(id => new BpeSymbol(id, _lengths[id]))]
            : Merge(part);
        if (text.Length <= MaxCachedLength && Volatile.Read(ref _cachedPieces) < MaxCachedPieces && _cache.TryAdd(text, tokens)) Interlocked.Increment(ref _cachedPieces);
        return tokens;
    }

    private BpeSymbol[] Merge(ReadOnlySpan<char> part)
    {
        var symbols = new List<BpeSymbol>(part.Length);
        _alphabet.Append(part, symbols);
        return PairMerger.Merge(CollectionsMarshal.AsSpan(symbols), _vocabulary.Merges);
    }

    private BpeSymbol? WholeToken(ReadOnlySpan<char> piece)
    {
        Span<byte> bytes = stackalloc byte[256];
        if (!System.Text.Encoding.UTF8.TryGetBytes(piece, bytes, out int count)) return null;
        var ids = _vocabulary.Ids.GetAlternateLookup<ReadOnlySpan<char>>();
        if (!_alphabet.IsByteLevel) return ids.TryGetValue(piece, out int id) ? new BpeSymbol(id, count) : null;
        Span<char> written = stackalloc char[count];
        for (int i = 0; i < count; i++) written[i] = ByteAlphabet.CharacterOf(bytes[i]);
        return ids.TryGetValue(written, out int byteLevelId) ? new BpeSymbol(byteLevelId, count) : null;
    }

    /// <summary>The pairs of symbols that lie next to each other where some merge joins two tokens.</summary>
    private HashSet<ulong> FindJunctions()
    {
        var tokens = new string[_lengths.Length];
        foreach ((string token, int id) in _vocabulary.Ids) tokens[id] = token;
        var junctions = new HashSet<ulong>();
        foreach (ulong pair in _vocabulary.Merges.Keys)
        {
            (int left, int right) = ((int)(pair >> 32), (int)(uint)pair);
            int[] lasts = _alphabet.IsByte(left) ? [left, _alphabet.EndsOf(tokens[left]).Last] : [_alphabet.EndsOf(tokens[left]).Last];
            int[] firsts = _alphabet.IsByte(right) ? [right, _alphabet.EndsOf(tokens[right]).First] : [_alphabet.EndsOf(tokens[right]).First];
            foreach (int last in lasts)
            {
                foreach (int first in firsts) junctions.Add(BpeVocabulary.Pair(last, first));
            }
        }

        return junctions;
    }

    private static BpeTokenizer NewEncoder(BpeVocabulary vocabulary)
    {
        var tokens = new string[vocabulary.Ids.Values.Max() + 1];
        foreach ((string token, int id) in vocabulary.Ids) tokens[id] = token;
        return BpeTokenizer.Create(new BpeOptions(vocabulary.Ids)
        {
            // In the order of ranks, but not the file's: of two equal merges the last counts there, and the library takes no second.
            Merges = vocabulary.Merges.OrderBy(merge => merge.Value.Rank).Select(merge => $"{tokens[(int)(merge.Key >> 32)]} {tokens[(int)(uint)merge.Key]}"),
            ByteLevel = true,
        });
    }
}
