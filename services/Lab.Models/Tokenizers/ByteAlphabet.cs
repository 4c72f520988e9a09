namespace Lab.Models.Tokenizers;

/// <summary>GPT-2's one-to-one map between bytes and printable characters, in which vocab.json and merges.txt are written.</summary>
internal static class ByteAlphabet
{
    private static readonly byte[] _byteOfId = BuildBytes();
    private static readonly char[] _charOfByte = BuildCharacters(_byteOfId);
    private static readonly Dictionary<char, byte> _byteOfChar = _charOfByte.Select((c, b) => (c, b)).ToDictionary(p => p.c, p => (byte)p.b);

    /// <summary>The byte that single-byte token <paramref name="id"/> (0 to 255) stands for: printable bytes come first, as in GPT-2.</summary>
    public static byte ByteOf(int id) => _byteOfId[id];

    /// <summary>The character that stands for a byte.</summary>
    public static char CharacterOf(byte value) => _charOfByte[value];

    /// <summary>Whether <paramref name="character"/> stands for a byte, and which.</summary>
    public static bool TryGetByte(char character, out byte value) => _byteOfChar.TryGetValue(character, out value);

    private static bool IsPrintable(int value) => value is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);

    private static byte[] BuildBytes()
    {
        IEnumerable<int> all = Enumerable.Range(0, 256);
        return [.. all.Where(IsPrintable).Concat(all.Where(b => !IsPrintable(b))).Select(b => (byte)b)];
    }

    private static char[] BuildCharacters(byte[] bytes)
    {
        char[] characters = new char[256];
        int unprintable = 0;
        foreach (byte value in bytes)
        {
            characters[value] = IsPrintable(value) ? (char)value : (char)(256 + unprintable++);
        }

        return characters;
    }
}
