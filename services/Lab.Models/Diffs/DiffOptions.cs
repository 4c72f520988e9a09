namespace Lab.Models.Diffs;

/// <summary>What to tell of two runs' differences.</summary>
public sealed record DiffOptions
{
    /// <summary>What to tell of each captured place.</summary>
    /// <value>The default value is the differences.</value>
    public DeltaParts Parts { get; init; } = DeltaParts.Deltas;

    /// <summary>Differences are 0 in place of a vector, along the last dimension, that is shorter; finite, not negative.</summary>
    /// <value>The default value is 0.</value>
    public float MinNorm { get; init; }

    /// <summary>Of which logits.</summary>
    /// <value>The default value is none.</value>
    public DiffLogits Logits { get; init; }

    /// <summary>Which divergences.</summary>
    /// <value>The default value is none.</value>
    public Divergence Divergence { get; init; }
}
