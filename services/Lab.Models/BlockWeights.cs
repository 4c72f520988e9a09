namespace Lab.Models;

/// <summary>One layer's parameters.</summary>
/// <param name="Ln1">The norm before attention.</param>
/// <param name="PositionNorm1">The norm of concatenated positions that attention reads, or null.</param>
/// <param name="Attention">Attention.</param>
/// <param name="Ln1Post">The norm of what attention adds (Gemma), or null.</param>
/// <param name="Ln2">The norm before the MLP.</param>
/// <param name="PositionNorm2">The norm of concatenated positions that the MLP reads, or null.</param>
/// <param name="Mlp">The MLP.</param>
/// <param name="Ln2Post">The norm of what the MLP adds (Gemma), or null.</param>
public sealed record BlockWeights(
    NormWeights Ln1,
    NormWeights? PositionNorm1,
    AttentionWeights Attention,
    NormWeights? Ln1Post,
    NormWeights Ln2,
    NormWeights? PositionNorm2,
    MlpWeights Mlp,
    NormWeights? Ln2Post);

/// <summary>A norm's parameters.</summary>
/// <param name="Gain">[channels].</param>
/// <param name="Bias">[channels], or null.</param>
public sealed record NormWeights(NamedParameter Gain, NamedParameter? Bias);

/// <summary>A linear map's parameters: y = W x + b.</summary>
/// <param name="Weight">[out, in]; [in, out] if <paramref name="IsInOut"/>.</param>
/// <param name="Bias">[out], or null.</param>
/// <param name="IsInOut">Whether the weight is stored with its inputs first, as GPT-2's files have it.</param>
public sealed record LinearWeights(NamedParameter Weight, NamedParameter? Bias, bool IsInOut = false);

/// <summary>Attention's parameters.</summary>
/// <param name="Qkv">Queries, keys and values in one map, out = 3 x n_heads x d_head; null where they are apart.</param>
/// <param name="Q">Queries, out = n_heads x d_head; null where they are joined.</param>
/// <param name="K">Keys, out = n_key_value_heads x d_head.</param>
/// <param name="V">Values, out = n_key_value_heads x d_head.</param>
/// <param name="Out">From heads to the residual stream.</param>
/// <param name="QNorm">Gain [d_head] of the queries' norm, or null.</param>
/// <param name="KNorm">Gain [d_head] of the keys' norm, or null.</param>
/// <param name="SinkLogit">[n_heads], or null.</param>
public sealed record AttentionWeights(
    LinearWeights? Qkv, LinearWeights? Q, LinearWeights? K, LinearWeights? V, LinearWeights Out, NormWeights? QNorm, NormWeights? KNorm, NamedParameter? SinkLogit);

/// <summary>The MLP's parameters.</summary>
/// <param name="In">To the neurons; to the gate, where there is one.</param>
/// <param name="Linear">To what the gate multiplies, or null.</param>
/// <param name="Out">From neurons to the residual stream.</param>
public sealed record MlpWeights(LinearWeights In, LinearWeights? Linear, LinearWeights Out);
