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

    /// <summary>The tokens whose spans overlap one of some, which are in order and do not overlap each other.</summary>
    public static IReadOnlyList<int> Of(ReadOnlySpan<TextSpan> tokens, ReadOnlySpan<TextSpan> spans)
    {
        var found = new List<int>();
        int next = 0;
        for (int i = 0; i < tokens.Length; i++)
        {
            while (next < spans.Length && spans[next].End <= tokens[i].Start) next++;
            if (next == spans.Length) break;
            if (tokens[i].Overlaps(spans[next])) found.Add(i);
        }

        return found;
    }

    /// <summary>The spans of a substring, compared by code units and without overlaps, from the start of the text.</summary>
    /// <param name="text">Where to look.</param>
    /// <param name="substring">What to look for; not empty.</param>
    public static IEnumerable<TextSpan> FindAll(string text, string substring)
    {
        ArgumentException.ThrowIfNullOrEmpty(substring);
        for (int at = text.IndexOf(substring, StringComparison.Ordinal); at >= 0; at = text.IndexOf(substring, at + substring.Length, StringComparison.Ordinal))
        {
            yield return new TextSpan(at, at + substring.Length);
        }
    }
}
