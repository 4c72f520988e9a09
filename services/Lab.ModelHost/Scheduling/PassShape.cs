namespace Lab.ModelHost.Scheduling;

/// <summary>What the scheduler needs to know of a turn.</summary>
/// <param name="Kind">Its kind.</param>
/// <param name="Rows">Rows.</param>
/// <param name="Length">Tokens in the longest row.</param>
internal readonly record struct PassShape(PassKind Kind, int Rows, int Length)
{
    /// <summary>Whether it computes attention scores for every pair of tokens.</summary>
    public bool NeedsScores { get; init; }

    /// <summary>Whether it must not share a pass.</summary>
    public bool IsAlone { get; init; }

    /// <summary>Passes over the rows beside the forward one that take as long as it; only for what runs alone.</summary>
    public int MorePasses { get; init; }

    /// <summary>Tokens, padding included, of all passes over them.</summary>
    public long Tokens => (long)Rows * Length * (1 + MorePasses);
}
