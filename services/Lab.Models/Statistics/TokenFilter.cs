namespace Lab.Models.Statistics;

/// <summary>Which tokens statistics leave out. Padding never counts.</summary>
public sealed record TokenFilter
{
    /// <summary>Whether the first token of each row is left out: models use it as a sink, with norms far from all others.</summary>
    public bool SkipsFirst { get; init; }

    /// <summary>Tokens that are left out wherever they stand, such as BOS and end of text.</summary>
    public IReadOnlySet<int> SkippedTokens { get; init; } = new HashSet<int>();

    internal bool Keeps(int position, int token) => !(SkipsFirst && position == 0) && !SkippedTokens.Contains(token);
}
