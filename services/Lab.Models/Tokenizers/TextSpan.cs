namespace Lab.Models.Tokenizers;

/// <summary>A range of a text: UTF-16 code units from <paramref name="Start"/>, inclusive, to <paramref name="End"/>, exclusive, as C# indexes strings. Spans of tokens never cut a surrogate pair.</summary>
public readonly record struct TextSpan(int Start, int End)
{
    /// <summary>How many UTF-16 code units it covers; 0 for a token that stands for no character of the text.</summary>
    public int Length => End - Start;

    /// <summary>Whether both cover a common code unit.</summary>
    public bool Overlaps(TextSpan other) => Math.Max(Start, other.Start) < Math.Min(End, other.End);

    /// <summary>The same span counted in code points, as Python indexes strings.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is not within the text.</exception>
    public TextSpan ToCodePoints(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        int start = CodePoints.Count(text.AsSpan(0, Start));
        return new TextSpan(start, start + CodePoints.Count(text.AsSpan(Start, Length)));
    }

    /// <summary>The span in UTF-16 code units of one that is counted in code points.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is not within the text.</exception>
    public static TextSpan FromCodePoints(string text, int start, int end)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfLessThan(end, start);
        int from = CodePoints.Skip(text, 0, start);
        return new TextSpan(from, CodePoints.Skip(text, from, end - start));
    }
}
