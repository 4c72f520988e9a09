namespace Lab.Models.Interventions;

/// <summary>
/// Says which part of which activations. An empty list means all rows, positions, heads or channels. Every index is checked
/// against the batch and the hook before anything runs.
/// </summary>
/// <param name="Hook">A hook's name, an alias, or a glob over names in which * stands for any run of characters without a dot.</param>
public sealed record ActivationSelector(string Hook)
{
    /// <summary>Rows of the batch, from 0.</summary>
    public IReadOnlyList<int> Rows { get; init; } = [];

    /// <summary>Positions from 0; negative ones count from the end of each row. At attention hooks those of the query.</summary>
    public IReadOnlyList<int> Positions { get; init; } = [];

    /// <summary>Attention heads, from 0. Only for hooks that have them.</summary>
    public IReadOnlyList<int> Heads { get; init; } = [];

    /// <summary>Channels of the last dimension, from 0. Only for hooks whose last dimension is not a position.</summary>
    public IReadOnlyList<int> Channels { get; init; } = [];
}
