namespace Lab.Models.Interventions;

/// <summary>
/// Says which part of which activations. An empty list of rows, heads or channels means all of them. <see cref="Positions"/>,
/// <see cref="PositionRanges"/>, <see cref="TokenIds"/> and <see cref="Texts"/> add up, and mean all positions if all four are
/// empty; <see cref="From"/>, <see cref="FromText"/>, <see cref="Phase"/> and <see cref="Steps"/> then narrow what they gave. Every
/// index is checked against the batch and the hook before anything runs.
/// </summary>
/// <param name="Hook">A hook's name, an alias, or a glob over names in which * stands for any run of characters without a dot; empty if <see cref="Hooks"/> has some.</param>
public sealed record ActivationSelector(string Hook)
{
    /// <summary>More names, aliases or globs. A hook that several match is selected once.</summary>
    public IReadOnlyList<string> Hooks { get; init; } = [];

    /// <summary>Layers; hooks that belong to none are left out. Null for all, and those.</summary>
    public IndexRange? Layers { get; init; }

    /// <summary>Rows of the batch, from 0.</summary>
    public IReadOnlyList<int> Rows { get; init; } = [];

    /// <summary>Positions from 0; negative ones count from the end of each row as it is when the pass runs. At attention hooks those of the query.</summary>
    public IReadOnlyList<int> Positions { get; init; } = [];

    /// <summary>Ranges of positions, counted as in <see cref="Positions"/>. What a row does not have is left out.</summary>
    public IReadOnlyList<IndexRange> PositionRanges { get; init; } = [];

    /// <summary>Every token of these IDs.</summary>
    public IReadOnlyList<int> TokenIds { get; init; } = [];

    /// <summary>Every token of the batch that overlaps one of these. Every selected row must have each; generated text is not searched.</summary>
    public IReadOnlyList<TextMatch> Texts { get; init; } = [];

    /// <summary>Only tokens from this position on, counted as in <see cref="Positions"/>.</summary>
    public int? From { get; init; }

    /// <summary>Only tokens from the first one on that overlaps this; without an occurrence the first.</summary>
    public TextMatch? FromText { get; init; }

    /// <summary>Attention heads, from 0. Only for hooks that have them.</summary>
    public IReadOnlyList<int> Heads { get; init; } = [];

    /// <summary>Channels of the last dimension, from 0. Only for hooks whose last dimension is not a position.</summary>
    public IReadOnlyList<int> Channels { get; init; } = [];

    /// <summary>Whether it holds for the prompt, the generated tokens or both.</summary>
    public GenerationPhase Phase { get; init; }

    /// <summary>Only these steps of decoding, from 0; null for all, and the prefill.</summary>
    public IndexRange? Steps { get; init; }
}
