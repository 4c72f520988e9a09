using System.Runtime.Intrinsics;
using Lab.Tensors.Kernels.Simd;

namespace Lab.Tensors.Kernels.Training;

/// <summary>The backward pass of <see cref="CausalAttention"/> for a range of (sequence, head).</summary>
internal readonly unsafe struct CausalAttentionBackward(
    CausalAttention shape, float* q, float* k, float* v, float* sinks, float* z, float* logSumExp, float* dz, float* dq, float* dk, float* dv, float* dsinks) : IRangeJob
{
    private const int Lanes = CausalAttention.Lanes;

    public void Run(int from, int to, int worker)
    {
        int packed = shape.PaddedLength * shape.PaddedWidth;
        float* scratch = Scratch.OfThread.Floats(8L * packed + 2 * CausalAttention.QueryBlock * (long)shape.PaddedLength);
        float* queries = scratch, keys = queries + packed, incoming = keys + packed, values = incoming + packed, keyColumns = values + packed, valueColumns = keyColumns + packed;
        float* keyGradients = valueColumns + packed, valueGradients = keyGradients + packed;
        float* pattern = valueGradients + packed, scoreGradients = pattern + (CausalAttention.QueryBlock * shape.PaddedLength);
        for (int head = from; head < to; head++)
        {
            long offset = shape.Offset(head);
            shape.Pack(q + offset, queries, shape.Scale);
            shape.Pack(k + offset, keys, 1);
            shape.Pack(v + offset, values, 1);
            shape.Pack(dz + offset, incoming, 1);
            shape.Transpose(keys, keyColumns);
            shape.Transpose(values, valueColumns);
            new Span<float>(keyGradients, packed).Clear();
            new Span<float>(valueGradients, packed).Clear();
            float sinkGradient = 0;
            float* logs = logSumExp + (long)head * shape.Length;
            for (int query = 0; query < shape.Length; query += CausalAttention.QueryBlock)
            {
                float* q0 = queries + query * shape.PaddedWidth, d0 = incoming + query * shape.PaddedWidth;
                CausalAttentionForward.Scores(q0, keyColumns, pattern, query + CausalAttention.QueryBlock, shape.HeadWidth, shape.PaddedWidth, shape.PaddedLength);
                CausalAttentionForward.Scores(d0, valueColumns, scoreGradients, query + CausalAttention.QueryBlock, shape.HeadWidth, shape.PaddedWidth, shape.PaddedLength);
                for (int r = 0; r < CausalAttention.QueryBlock; r++)
                {
                    bool isToken = query + r < shape.Length;
                    // What all weights of a query have in common: the softmax moves weight between keys only.
                    float common = isToken ? Dot(z + offset + (long)(query + r) * shape.Stride, d0 + r * shape.PaddedWidth, shape.HeadWidth) : 0;
                    float logarithm = isToken ? logs[query + r] : 0;
                    int seen = isToken ? query + r + 1 : 0;
                    Differentiate(pattern + r * shape.PaddedLength, scoreGradients + r * shape.PaddedLength, seen, query + CausalAttention.QueryBlock, logarithm, common);
                    if (sinks is not null && isToken) sinkGradient -= MathF.Exp(sinks[head % shape.Heads] - logarithm) * common;
                }

                Accumulate(pattern, scoreGradients, q0, d0, keys, keyGradients, valueGradients, dq + offset, query);
            }

            Unpack(keyGradients, dk + offset);
            Unpack(valueGradients, dv + offset);
            if (dsinks is not null) dsinks[head] = sinkGradient;
        }
    }

    /// <summary>From scores and the pattern's gradients to the pattern and the scores' gradients, zero beyond the diagonal.</summary>
    private void Differentiate(float* scores, float* gradients, int seen, int end, float logarithm, float common)
    {
        Vector512<float> shift = Vector512.Create(logarithm), shared = Vector512.Create(common);
        int padded = Math.Min((end + Lanes - 1) / Lanes * Lanes, shape.PaddedLength);
        for (int key = 0; key < padded; key += Lanes)
        {
            Vector512<int> visible = Vector512.LessThan(Vector512.CreateSequence(key, 1), Vector512.Create(seen));
            Vector512<float> weight = VectorMath.Exp(Vector512.Load(scores + key) - shift);
            weight = Vector512.ConditionalSelect(visible.AsSingle(), weight, Vector512<float>.Zero);
            weight.Store(scores + key);
            (weight * (Vector512.Load(gradients + key) - shared)).Store(gradients + key);
        }
    }

    private void Accumulate(float* pattern, float* scoreGradients, float* queries, float* incoming, float* keys, float* keyGradients, float* valueGradients, float* target, int query)
    {
        int width = shape.PaddedWidth, length = shape.PaddedLength;
        float* p0 = pattern, p1 = p0 + length, p2 = p1 + length, p3 = p2 + length;
        float* s0 = scoreGradients, s1 = s0 + length, s2 = s1 + length, s3 = s2 + length;
        int seen = Math.Min(query + CausalAttention.QueryBlock, shape.Length);
        for (int c = 0; c < width; c += Lanes)
        {
            Vector512<float> a0 = Vector512.Load(queries + c), a1 = Vector512.Load(queries + width + c), a2 = Vector512.Load(queries + (2 * width) + c), a3 = Vector512.Load(queries + (3 * width) + c);
            Vector512<float> d0 = Vector512.Load(incoming + c), d1 = Vector512.Load(incoming + width + c), d2 = Vector512.Load(incoming + (2 * width) + c), d3 = Vector512.Load(incoming + (3 * width) + c);
            Vector512<float> g0 = default, g1 = default, g2 = default, g3 = default;
            for (int key = 0, at = c; key < seen; key++, at += width)
            {
                Vector512<float> t0 = Vector512.Create(s0[key]), t1 = Vector512.Create(s1[key]), t2 = Vector512.Create(s2[key]), t3 = Vector512.Create(s3[key]);
                Vector512<float> one = Vector512.Load(keys + at);
                g0 = Vector512.FusedMultiplyAdd(t0, one, g0);
                g1 = Vector512.FusedMultiplyAdd(t1, one, g1);
                g2 = Vector512.FusedMultiplyAdd(t2, one, g2);
                g3 = Vector512.FusedMultiplyAdd(t3, one, g3);
                Vector512<float> first = Vector512.FusedMultiplyAdd(t0, a0, Vector512.Load(keyGradients + at)), second = t2 * a2;
                first = Vector512.FusedMultiplyAdd(t1, a1, first);
                second = Vector512.FusedMultiplyAdd(t3, a3, second);
                (first + second).Store(keyGradients + at);
                first = Vector512.FusedMultiplyAdd(Vector512.Create(p0[key]), d0, Vector512.Load(valueGradients + at));
                second = Vector512.Create(p2[key]) * d2;
                first = Vector512.FusedMultiplyAdd(Vector512.Create(p1[key]), d1, first);
                second = Vector512.FusedMultiplyAdd(Vector512.Create(p3[key]), d3, second);
                (first + second).Store(valueGradients + at);
            }

            int count = shape.HeadWidth - c;
            float* to = target + (long)query * shape.Stride + c;
            VectorMath.StorePart(g0 * shape.Scale, to, count);
            if (query + 1 < shape.Length) VectorMath.StorePart(g1 * shape.Scale, to + shape.Stride, count);
            if (query + 2 < shape.Length) VectorMath.StorePart(g2 * shape.Scale, to + (2 * shape.Stride), count);
            if (query + 3 < shape.Length) VectorMath.StorePart(g3 * shape.Scale, to + (3 * shape.Stride), count);
        }
    }

    private void Unpack(float* packed, float* target)
    {
        for (int token = 0; token < shape.Length; token++)
        {
            for (int c = 0; c < shape.HeadWidth; c += Lanes)
                VectorMath.StorePart(Vector512.Load(packed + (token * shape.PaddedWidth) + c), target + (long)token * shape.Stride + c, shape.HeadWidth - c);
        }
    }

    private static float Dot(float* a, float* b, int count)
    {
        float sum = 0;
        for (int i = 0; i < count; i++) sum += a[i] * b[i];
        return sum;
    }
}
