namespace Lab.Models.Tokenizers;

/// <summary>Counts code points in UTF-16. An unpaired surrogate counts as one.</summary>
internal static class CodePoints
{
    /// <summary>How many code points a text has.</summary>
    public static int Count(ReadOnlySpan<char> text)
    {
        int count = 0;
        for (int i = 0; i < text.Length; i += LengthAt(text, i)) count++;
        return count;
    }

    /// <summary>The index after <paramref name="count"/> code points from an index.</summary>
    public static int Skip(ReadOnlySpan<char> text, int index, int count)
    {
        for (int i = 0; i < count; i++)
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, text.Length, nameof(count));
            index += LengthAt(text, index);
        }

        return index;
    }

    /// <summary>How many UTF-16 code units the code point at an index has: 1 or 2.</summary>
    public static int LengthAt(ReadOnlySpan<char> text, int index) =>
        char.IsHighSurrogate(text[index]) && index + 1 < text.Length && char.IsLowSurrogate(text[index + 1]) ? 2 : 1;

    /// <summary>How many bytes of UTF-8 the code point at an index has. An unpaired surrogate has the three of U+FFFD.</summary>
    public static int Utf8LengthAt(ReadOnlySpan<char> text, int index) =>
        text[index] < 0x80 ? 1 : text[index] < 0x800 ? 2 : LengthAt(text, index) == 2 ? 4 : 3;

    /// <summary>The text with U+FFFD for every unpaired surrogate: as long as the text, and the text itself if it has none.</summary>
    public static string WellFormed(string text)
    {
        int first = FirstUnpaired(text, 0);
        if (first < 0) return text;
        return string.Create(text.Length, (text, first), static (result, state) =>
        {
            state.text.CopyTo(result);
            for (int i = state.first; i >= 0; i = FirstUnpaired(state.text, i + 1)) result[i] = '\uFFFD';
        });
    }

    private static int FirstUnpaired(string text, int from)
    {
        for (int i = from; i < text.Length; i++)
        {
            int next = text.AsSpan(i).IndexOfAnyInRange('\uD800', '\uDFFF');
            if (next < 0) return -1;
            i += next;
            if (LengthAt(text, i) == 1) return i;
            i++;
        }

        return -1;
    }
}
