using System.Runtime.Intrinsics;
using Lab.Tensors.Kernels.Simd;

namespace Lab.Tensors.Kernels.Training;

/// <summary>Next-token cross-entropy and its gradient in one visit of each row of logits.</summary>
public static unsafe class CrossEntropyKernel
{
    private const int Lanes = 16;

    /// <summary>
    /// Adds to each row of logits its bigram row and the constant bias, and replaces it by the gradient of the mean loss: (softmax - target) / rows.
    /// </summary>
    /// <param name="logits">[rows, columns]: becomes its gradient.</param>
    /// <param name="bigram">[columns, columns]: the row of the token that is read is added; null for none.</param>
    /// <param name="bias">[columns], or null.</param>
    /// <param name="ids">[rows]: the tokens that are read.</param>
    /// <param name="targets">[rows]: the tokens that follow.</param>
    /// <param name="losses">Receives [rows]: nats.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="columns">Tokens in the vocabulary.</param>
    /// <returns>The mean loss, in nats per token.</returns>
    public static double Run(float* logits, float* bigram, float* bias, int* ids, int* targets, float* losses, int rows, int columns)
    {
        HostThreads.For(new Job(logits, bigram, bias, ids, targets, losses, rows, columns), rows, Math.Max(1, (1 << 14) / columns));
        double sum = 0;
        for (int row = 0; row < rows; row++) sum += losses[row];
        return sum / rows;
    }

    private readonly struct Job(float* logits, float* bigram, float* bias, int* ids, int* targets, float* losses, int rows, int columns) : IRangeJob
    {
        public void Run(int from, int to, int worker)
        {
            for (int row = from; row < to; row++)
            {
                float* values = logits + ((long)row * columns);
                float* added = bigram is null ? null : bigram + ((long)ids[row] * columns);
                float top = Complete(values, added);
                float target = values[targets[row]];
                Vector512<float> shift = Vector512.Create(top), sums = default;
                for (int c = 0; c < columns; c += Lanes)
                {
                    int part = columns - c;
                    Vector512<float> exponential = VectorMath.Exp(VectorMath.LoadPart(values + c, part) - shift);
                    if (part < Lanes) exponential = Vector512.ConditionalSelect(Vector512.LessThan(Vector512.CreateSequence(0, 1), Vector512.Create(part)).AsSingle(), exponential, Vector512<float>.Zero);
                    VectorMath.StorePart(exponential, values + c, part);
                    sums += exponential;
                }

                float sum = Vector512.Sum(sums);
                losses[row] = top + MathF.Log(sum) - target;
                float scale = 1 / (sum * rows);
                for (int c = 0; c < columns; c += Lanes) VectorMath.StorePart(VectorMath.LoadPart(values + c, columns - c) * scale, values + c, columns - c);
                values[targets[row]] -= 1f / rows;
            }
        }

        /// <summary>Adds what belongs to the logits beside the unembedding's; the largest.</summary>
        private float Complete(float* values, float* added)
        {
            float top = float.NegativeInfinity;
            for (int c = 0; c < columns; c += Lanes)
            {
                int part = columns - c;
                Vector512<float> value = VectorMath.LoadPart(values + c, part);
                if (added is not null) value += VectorMath.LoadPart(added + c, part);
                if (bias is not null) value += VectorMath.LoadPart(bias + c, part);
                VectorMath.StorePart(value, values + c, part);
                for (int i = 0; i < Math.Min(part, Lanes) && part < Lanes; i++) top = MathF.Max(top, values[c + i]);
                if (part >= Lanes)
                {
                    Vector256<float> half = Vector256.Max(value.GetLower(), value.GetUpper());
                    Vector128<float> quarter = Vector128.Max(half.GetLower(), half.GetUpper());
                    top = MathF.Max(top, MathF.Max(MathF.Max(quarter[0], quarter[1]), MathF.Max(quarter[2], quarter[3])));
                }
            }

            return top;
        }
    }
}
