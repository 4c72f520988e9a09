using static TorchSharp.torch;

namespace Lab.Models;

/// <summary>What one forward pass reads.</summary>
/// <param name="Ids">[rows, pos], int64, each below d_vocab: the new tokens, padded on the right.</param>
public sealed record ForwardInput(Tensor Ids)
{
    /// <summary>New tokens in each row; null if no row is padded. Only caches need it: causal attention never sees padding.</summary>
    public IReadOnlyList<int>? Lengths { get; init; }

    /// <summary>What each row has seen before, one a row; the pass appends the new tokens. Null for rows that begin here.</summary>
    public IReadOnlyList<SequenceCache>? Caches { get; init; }

    /// <summary>Which logits to compute.</summary>
    /// <value>The default value is all.</value>
    public LogitSelection Logits { get; init; } = LogitSelection.All;

    /// <summary>Changes to parameters, for this pass only; null for none.</summary>
    public IWeightEdits? Edits { get; init; }

    /// <summary>Layers to run: the pass ends after so many, without logits. Null for all of them.</summary>
    public int? StopAtLayer { get; init; }
}

/// <summary>Which tokens' logits a pass computes.</summary>
/// <param name="Tokens">Indices into the batch flattened to [rows x pos]; null for all.</param>
public sealed record LogitSelection(IReadOnlyList<long>? Tokens)
{
    /// <summary>All: the pass gives [rows, pos, d_vocab].</summary>
    public static LogitSelection All { get; } = new((IReadOnlyList<long>?)null);

    /// <summary>None: the unembedding is not computed.</summary>
    public static LogitSelection None { get; } = new([]);
}
