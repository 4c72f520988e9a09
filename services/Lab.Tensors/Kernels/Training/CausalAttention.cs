using System.Runtime.Intrinsics;
using Lab.Tensors.Kernels.Simd;

namespace Lab.Tensors.Kernels.Training;

/// <summary>
/// Causal softmax attention with an optional sink, head by head, and its gradients: for training on the CPU with short contexts, where a
/// head's keys and values stay in the first-level cache. Scores are never stored; the backward pass makes them again.
/// </summary>
/// <param name="rows">Sequences.</param>
/// <param name="length">Tokens in a sequence.</param>
/// <param name="heads">Heads.</param>
/// <param name="headWidth">Channels of a head.</param>
/// <param name="scale">Scores are multiplied by it.</param>
public sealed unsafe class CausalAttention(int rows, int length, int heads, int headWidth, float scale)
{
    /// <summary>Queries that are worked on together: each loaded key serves all of them.</summary>
    internal const int QueryBlock = 4;

    internal const int Lanes = 16;

    internal int Length => length;

    internal int Heads => heads;

    internal int HeadWidth => headWidth;

    internal float Scale => scale;

    /// <summary>Floats from one token to the next in q, k, v and z.</summary>
    internal int Stride => heads * headWidth;

    /// <summary>Tokens, rounded up to whole vectors.</summary>
    internal int PaddedLength => (length + Lanes - 1) / Lanes * Lanes;

    /// <summary>Channels, rounded up to whole vectors.</summary>
    internal int PaddedWidth => (headWidth + Lanes - 1) / Lanes * Lanes;

    /// <summary>z = softmax(q k^T scale, causal, with sink) v.</summary>
    /// <param name="q">[rows, length, heads, headWidth], as k, v and z.</param>
    /// <param name="k">Keys.</param>
    /// <param name="v">Values.</param>
    /// <param name="sinks">[heads]: logits that take their share of the denominator; null for none.</param>
    /// <param name="z">Receives the heads' outputs.</param>
    /// <param name="logSumExp">Receives [rows, heads, length]: the logarithm of each query's denominator, for the backward pass.</param>
    public void Forward(float* q, float* k, float* v, float* sinks, float* z, float* logSumExp) =>
        HostThreads.For(new CausalAttentionForward(this, q, k, v, sinks, z, logSumExp), rows * heads, 1);

    /// <summary>Gradients with respect to q, k, v and the sinks.</summary>
    /// <param name="q">As in the forward pass.</param>
    /// <param name="k">As in the forward pass.</param>
    /// <param name="v">As in the forward pass.</param>
    /// <param name="sinks">As in the forward pass.</param>
    /// <param name="z">What the forward pass gave.</param>
    /// <param name="logSumExp">What the forward pass gave.</param>
    /// <param name="dz">The gradient of z.</param>
    /// <param name="dq">Receives the gradient of q. May be <paramref name="dz"/>.</param>
    /// <param name="dk">Receives the gradient of k.</param>
    /// <param name="dv">Receives the gradient of v.</param>
    /// <param name="dsinks">Receives [rows, heads]: each sequence's part of the sinks' gradient; null where there are no sinks.</param>
    public void Backward(float* q, float* k, float* v, float* sinks, float* z, float* logSumExp, float* dz, float* dq, float* dk, float* dv, float* dsinks) =>
        HostThreads.For(new CausalAttentionBackward(this, q, k, v, sinks, z, logSumExp, dz, dq, dk, dv, dsinks), rows * heads, 1);

    /// <summary>A head's tokens one after the other, padded with zeros: [PaddedLength, PaddedWidth].</summary>
    internal void Pack(float* source, float* target, float factor)
    {
        for (int token = 0; token < length; token++)
        {
            for (int c = 0; c < headWidth; c += Lanes) (VectorMath.LoadPart(source + c, headWidth - c) * factor).Store(target + c);
            source += Stride;
            target += PaddedWidth;
        }

        new Span<float>(target, (PaddedLength - length) * PaddedWidth).Clear();
    }

    /// <summary>From [PaddedLength, PaddedWidth] to [headWidth, PaddedLength].</summary>
    internal void Transpose(float* packed, float* target)
    {
        for (int c = 0; c < headWidth; c++)
        {
            float* source = packed + c, row = target + (c * PaddedLength);
            for (int token = 0; token < PaddedLength; token++) row[token] = source[token * PaddedWidth];
        }
    }

    /// <summary>Where this head's first token lies in q, k, v and z.</summary>
    internal long Offset(int head) => ((long)(head / heads) * length * Stride) + (head % heads * headWidth);
}
