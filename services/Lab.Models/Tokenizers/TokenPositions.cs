namespace Lab.Models.Tokenizers;

/// <summary>Finds tokens by the text they cover.</summary>
internal static class TokenPositions
{
    /// <summary>The first token whose span holds an offset.</summary>
    public static int? At(ReadOnlySpan<TextSpan> spans, int offset)
    {
        for (int i = 0; i < spans.Length; i++)
        {
            if (spans[i].Start <= offset && offset < spans[i].End) return i;
        }

        return null;
    }

    /// <summary>The tokens whose spans overlap one.</summary>
    public static IReadOnlyList<int> Of(ReadOnlySpan<TextSpan> spans, TextSpan span)
    {
        var tokens = new List<int>();
        for (int i = 0; i < spans.Length; i++)
        {
            if (spans[i].Overlaps(span)) tokens.Add(i);
        }

        return tokens;
    }

    /// <summary>The span of the nth occurrence of a substring, compared by code units; occurrences may overlap.</summary>
    /// <param name="text">Where to look.</param>
    /// <param name="substring">What to look for; not empty.</param>
    /// <param name="occurrence">Which, from 0; negative counts from the last, -1.</param>
    public static TextSpan? Find(string text, string substring, int occurrence)
    {
        ArgumentException.ThrowIfNullOrEmpty(substring);
        var found = new List<int>();
        for (int at = text.IndexOf(substring, StringComparison.Ordinal); at >= 0; at = at + 1 < text.Length ? text.IndexOf(substring, at + 1, StringComparison.Ordinal) : -1)
        {
            found.Add(at);
            if (found.Count - 1 == occurrence) break;
        }

        int index = occurrence < 0 ? found.Count + occurrence : occurrence;
        return (uint)index < (uint)found.Count ? new TextSpan(found[index], found[index] + substring.Length) : null;
    }
}
