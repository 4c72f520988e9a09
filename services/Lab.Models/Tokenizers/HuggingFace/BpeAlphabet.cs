using System.Text;

namespace Lab.Models.Tokenizers.HuggingFace;

/// <summary>The symbols that merging begins with: bytes, or characters with a fallback to bytes.</summary>
internal sealed class BpeAlphabet
{
    private readonly BpeVocabulary _vocabulary;
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _ids;

    // The ids of the tokens of bytes, -1 where there is none.
    private readonly int[] _idOfByte = new int[256];
    private readonly int? _unknown;

    public BpeAlphabet(BpeVocabulary vocabulary, bool isByteLevel)
    {
        _vocabulary = vocabulary;
        IsByteLevel = isByteLevel;
        _ids = vocabulary.Ids.GetAlternateLookup<ReadOnlySpan<char>>();
        if (vocabulary.UnknownToken is { } unknown) _unknown = vocabulary.Ids[unknown];
        for (int b = 0; b < 256; b++)
        {
            string written = isByteLevel ? ByteAlphabet.CharacterOf((byte)b).ToString() : $"<0x{b:X2}>";
            _idOfByte[b] = (isByteLevel || vocabulary.HasByteFallback) && vocabulary.Ids.TryGetValue(written, out int id) ? id : -1;
        }
    }

    /// <summary>Whether tokens are written in GPT-2's byte alphabet, and not in characters.</summary>
    public bool IsByteLevel { get; }

    /// <summary>Whether every text can be written in bytes.</summary>
    public bool HasAllBytes => !_idOfByte.Contains(-1);

    /// <summary>Whether an id is that of a byte.</summary>
    public bool IsByte(int id) => _idOfByte.Contains(id);

    /// <summary>Whether both are unknown characters that become one token.</summary>
    public bool Fuses(int left, int right) => _vocabulary.FusesUnknown && left == _unknown && right == _unknown;

    /// <summary>Appends the symbols of a well-formed text.</summary>
    /// <exception cref="ArgumentException">A character has no token.</exception>
    public void Append(ReadOnlySpan<char> text, List<BpeSymbol> symbols)
    {
        Span<byte> bytes = stackalloc byte[4];
        for (int i = 0, length; i < text.Length; i += length)
        {
            length = CodePoints.LengthAt(text, i);
            ReadOnlySpan<char> character = text.Slice(i, length);
            int byteCount = Encoding.UTF8.GetBytes(character, bytes);
            if (!IsByteLevel && _ids.TryGetValue(character, out int id)) symbols.Add(new BpeSymbol(id, byteCount));
            else if (!TryAppendBytes(bytes[..byteCount], symbols)) AppendUnknown(character, byteCount, symbols);
        }
    }

    /// <summary>The symbols that a token as written begins and ends with; -1 where its first or last character has no token.</summary>
    public (int First, int Last) EndsOf(string token)
    {
        int last = token.Length - (token.Length > 1 && char.IsLowSurrogate(token[^1]) ? 2 : 1);
        return (Find(token.AsSpan(0, CodePoints.LengthAt(token, 0))), Find(token.AsSpan(last)));

        int Find(ReadOnlySpan<char> character) => _ids.TryGetValue(character, out int id) ? id : -1;
    }

    private bool TryAppendBytes(ReadOnlySpan<byte> bytes, List<BpeSymbol> symbols)
    {
        foreach (byte b in bytes)
        {
            if (_idOfByte[b] < 0) return false;
        }

        foreach (byte b in bytes) symbols.Add(new BpeSymbol(_idOfByte[b], 1));
        return true;
    }

    private void AppendUnknown(ReadOnlySpan<char> character, int byteCount, List<BpeSymbol> symbols)
    {
        if (_unknown is not { } unknown) throw new ArgumentException($"The vocabulary has no token for '{character}'.", "text");
        if (symbols.Count > 0 && Fuses(symbols[^1].Id, unknown)) symbols[^1] = symbols[^1] with { Bytes = symbols[^1].Bytes + byteCount };
        else symbols.Add(new BpeSymbol(unknown, byteCount));
    }
}
