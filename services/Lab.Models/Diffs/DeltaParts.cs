namespace Lab.Models.Diffs;

/// <summary>What is told of a difference.</summary>
[Flags]
public enum DeltaParts
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>The difference.</summary>
    Deltas = 1,

    /// <summary>Its norm, and that relative to the clean activation's norm.</summary>
    Norms = 2,
}
