using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Lab.Tensors.Kernels.Simd;

namespace Lab.Tensors.Kernels.Training;

/// <summary>The forward pass of <see cref="CausalAttention"/> for a range of (sequence, head).</summary>
internal readonly unsafe struct CausalAttentionForward(
    CausalAttention shape, float* q, float* k, float* v, float* sinks, float* z, float* logSumExp) : IRangeJob
{
    private const int Lanes = CausalAttention.Lanes;

    public void Run(int from, int to, int worker)
    {
        int packed = shape.PaddedLength * shape.PaddedWidth;
        float* scratch = Scratch.OfThread.Floats(4L * packed + CausalAttention.QueryBlock * (long)shape.PaddedLength);
        float* queries = scratch, keys = queries + packed, values = keys + packed, transposed = values + packed, scores = transposed + packed;
        float* denominators = stackalloc float[CausalAttention.QueryBlock];
        for (int head = from; head < to; head++)
        {
            long offset = shape.Offset(head);
            shape.Pack(q + offset, queries, shape.Scale);
            shape.Pack(k + offset, keys, 1);
            shape.Pack(v + offset, values, 1);
            shape.Transpose(keys, transposed);
            float sink = sinks is null ? float.NegativeInfinity : sinks[head % shape.Heads];
            for (int query = 0; query < shape.Length; query += CausalAttention.QueryBlock)
            {
                Scores(queries + query * shape.PaddedWidth, transposed, scores, query + CausalAttention.QueryBlock, shape.HeadWidth, shape.PaddedWidth, shape.PaddedLength);
                for (int r = 0; r < CausalAttention.QueryBlock; r++)
                {
                    int seen = Math.Min(query + r, shape.Length - 1) + 1;
                    float logarithm = Softmax(scores + r * shape.PaddedLength, seen, Math.Min(query + CausalAttention.QueryBlock, shape.PaddedLength), sink, out denominators[r]);
                    if (query + r < shape.Length) logSumExp[(long)head * shape.Length + query + r] = logarithm;
                }

                Mix(scores, values, denominators, z + offset, query);
            }
        }
    }

    /// <summary>Scores of four queries with all keys up to <paramref name="seen"/>, whole vectors of keys.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Scores(float* queries, float* keys, float* scores, int seen, int width, int queryStride, int keyStride)
    {
        float* q0 = queries, q1 = q0 + queryStride, q2 = q1 + queryStride, q3 = q2 + queryStride;
        for (int key = 0; key < seen && key < keyStride; key += Lanes)
        {
            Vector512<float> s0 = default, s1 = default, s2 = default, s3 = default;
            float* column = keys + key;
            for (int c = 0; c < width; c++, column += keyStride)
            {
                Vector512<float> one = Vector512.Load(column);
                s0 = Vector512.FusedMultiplyAdd(Vector512.Create(q0[c]), one, s0);
                s1 = Vector512.FusedMultiplyAdd(Vector512.Create(q1[c]), one, s1);
                s2 = Vector512.FusedMultiplyAdd(Vector512.Create(q2[c]), one, s2);
                s3 = Vector512.FusedMultiplyAdd(Vector512.Create(q3[c]), one, s3);
            }

            s0.Store(scores + key);
            s1.Store(scores + keyStride + key);
            s2.Store(scores + (2 * keyStride) + key);
            s3.Store(scores + (3 * keyStride) + key);
        }
    }

    /// <summary>From scores to exponentials, zero from <paramref name="seen"/> to <paramref name="end"/>; the logarithm of their sum.</summary>
    private static float Softmax(float* scores, int seen, int end, float sink, out float denominator)
    {
        // Keys beyond the diagonal must neither be the largest nor count; a very low score does both.
        int padded = (end + Lanes - 1) / Lanes * Lanes;
        for (int key = seen; key < padded; key++) scores[key] = float.NegativeInfinity;
        Vector512<float> largest = Vector512.Load(scores);
        for (int key = Lanes; key < padded; key += Lanes) largest = Vector512.Max(largest, Vector512.Load(scores + key));
        float top = MathF.Max(Largest(largest), sink);
        Vector512<float> shift = Vector512.Create(top), sum = default;
        for (int key = 0; key < padded; key += Lanes)
        {
            Vector512<float> score = Vector512.Load(scores + key);
            Vector512<float> exponential = VectorMath.Exp(score - shift);
            exponential = Vector512.ConditionalSelect(Vector512.Equals(score, Vector512.Create(float.NegativeInfinity)), Vector512<float>.Zero, exponential);
            exponential.Store(scores + key);
            sum += exponential;
        }

        denominator = Vector512.Sum(sum) + (float.IsNegativeInfinity(sink) ? 0 : MathF.Exp(sink - top));
        return top + MathF.Log(denominator);
    }

    private static float Largest(Vector512<float> values)
    {
        Vector256<float> half = Vector256.Max(values.GetLower(), values.GetUpper());
        Vector128<float> quarter = Vector128.Max(half.GetLower(), half.GetUpper());
        return MathF.Max(MathF.Max(quarter[0], quarter[1]), MathF.Max(quarter[2], quarter[3]));
    }

    private void Mix(float* weights, float* values, float* denominators, float* z, int query)
    {
        int stride = shape.PaddedLength;
        float* w0 = weights, w1 = w0 + stride, w2 = w1 + stride, w3 = w2 + stride;
        int seen = Math.Min(query + CausalAttention.QueryBlock, shape.Length);
        for (int c = 0; c < shape.PaddedWidth; c += Lanes)
        {
            Vector512<float> z0 = default, z1 = default, z2 = default, z3 = default;
            float* value = values + c;
            for (int key = 0; key < seen; key++, value += shape.PaddedWidth)
            {
                Vector512<float> one = Vector512.Load(value);
                z0 = Vector512.FusedMultiplyAdd(Vector512.Create(w0[key]), one, z0);
                z1 = Vector512.FusedMultiplyAdd(Vector512.Create(w1[key]), one, z1);
                z2 = Vector512.FusedMultiplyAdd(Vector512.Create(w2[key]), one, z2);
                z3 = Vector512.FusedMultiplyAdd(Vector512.Create(w3[key]), one, z3);
            }

            int count = shape.HeadWidth - c;
            float* target = z + (long)query * shape.Stride + c;
            VectorMath.StorePart(z0 / denominators[0], target, count);
            if (query + 1 < shape.Length) VectorMath.StorePart(z1 / denominators[1], target + shape.Stride, count);
            if (query + 2 < shape.Length) VectorMath.StorePart(z2 / denominators[2], target + (2 * shape.Stride), count);
            if (query + 3 < shape.Length) VectorMath.StorePart(z3 / denominators[3], target + (3 * shape.Stride), count);
        }
    }
}
