namespace Lab.Models;

/// <summary>The dimensions that activations have.</summary>
public enum HookDimension
{
    /// <summary>Rows of the batch.</summary>
    Batch,

    /// <summary>Token positions.</summary>
    Pos,

    /// <summary>Positions that attend.</summary>
    QueryPos,

    /// <summary>Positions that are attended to.</summary>
    KeyPos,

    /// <summary>Attention heads.</summary>
    Head,

    /// <summary>Channels of one head.</summary>
    DHead,

    /// <summary>Channels of the residual stream.</summary>
    DModel,

    /// <summary>MLP neurons.</summary>
    DMlp,
}

/// <summary>A place in a model where activations can be read and changed.</summary>
/// <param name="Name">TransformerLens's name: "blocks.0.hook_resid_pre".</param>
/// <param name="Layer">The layer, or -1 outside of the layers.</param>
/// <param name="Dimensions">What each dimension is.</param>
/// <param name="Shape">The sizes; -1 for those that the input decides.</param>
/// <param name="Aliases">Other names of the same place, such as circuit_sparsity's.</param>
/// <param name="Index">The place among the model's hooks, in the order of the forward pass.</param>
public sealed record HookPoint(string Name, int Layer, IReadOnlyList<HookDimension> Dimensions, IReadOnlyList<long> Shape, IReadOnlyList<string> Aliases, int Index)
{
    /// <summary>The size of the last dimension, or -1 if the input decides it.</summary>
    public long Channels => Shape[^1];
}
