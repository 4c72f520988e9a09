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

    /// <summary>What sublayers read: the residual stream, and concatenated position channels.</summary>
    DRead,

    /// <summary>Channels of concatenated positions.</summary>
    DPos,

    /// <summary>Tokens of the vocabulary.</summary>
    DVocab,

    /// <summary>A single number: a norm's scale.</summary>
    One,

    /// <summary>Heads of keys and values; hooks list it as <see cref="Head"/>, with its own size.</summary>
    KeyValueHead,
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

    /// <summary>
    /// Whether it is computed only when it is asked for, and large: attention scores and probabilities grow with the square of the
    /// length, others are the residual stream once for every head. A glob matches it only by its own last part.
    /// </summary>
    public bool IsOnRequest { get; init; }

    /// <summary>
    /// Aliases that name the input of one of several matrices that all read this place, such as "self_attn.q_proj.input": the same
    /// tensor, but who changes that input does not mean the others. They are for reading only.
    /// </summary>
    public IReadOnlyList<string> ReadOnlyAliases { get; init; } = [];

    /// <summary>Whether its heads are those of keys and values, each shared by several query heads.</summary>
    public bool HasSharedHeads { get; init; }

    /// <summary>How many tokens its layer's queries look at, their own included; <see cref="int.MaxValue"/> for all.</summary>
    public int Window { get; init; } = int.MaxValue;
}
