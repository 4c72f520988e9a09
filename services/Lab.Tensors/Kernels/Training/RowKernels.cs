using System.Runtime.Intrinsics;
using Lab.Tensors.Kernels.Simd;

namespace Lab.Tensors.Kernels.Training;

/// <summary>What a training step does entry by entry and row by row, beside products, norms and attention.</summary>
public static unsafe class RowKernels
{
    private const int EntriesPerPart = 1 << 14;
    private const int Lanes = 16;

    /// <summary>Looks rows of a table up, and adds a second table's rows by position.</summary>
    /// <param name="table">[.., columns].</param>
    /// <param name="ids">[rows].</param>
    /// <param name="positions">[length or more, columns]: row n adds position n mod length; null for none.</param>
    /// <param name="length">Tokens in a sequence.</param>
    /// <param name="y">Receives [rows, columns].</param>
    /// <param name="rows">Rows.</param>
    /// <param name="columns">Entries in a row.</param>
    public static void Gather(float* table, int* ids, float* positions, int length, float* y, int rows, int columns) =>
        HostThreads.For(new GatherJob(table, ids, positions, length, y, columns), rows, RowsPerPart(columns));

    /// <summary>Every row becomes the same.</summary>
    /// <param name="row">[columns].</param>
    /// <param name="y">Receives [rows, columns].</param>
    /// <param name="rows">Rows.</param>
    /// <param name="columns">Entries in a row.</param>
    public static void Fill(float* row, float* y, int rows, int columns) => HostThreads.For(new FillJob(row, y, columns), rows, RowsPerPart(columns));

    /// <summary>y = a + b.</summary>
    /// <param name="a">[count].</param>
    /// <param name="b">[count].</param>
    /// <param name="y">Receives [count]; may be either.</param>
    /// <param name="count">Entries.</param>
    public static void Add(float* a, float* b, float* y, long count) => HostThreads.For(new AddJob(a, b, y, count), Parts(count), 1);

    /// <summary>y = GELU(x) = x Phi(x), exact but for rounding.</summary>
    /// <param name="x">[count].</param>
    /// <param name="y">Receives [count].</param>
    /// <param name="count">Entries.</param>
    public static void Gelu(float* x, float* y, long count) => HostThreads.For(new GeluJob(x, y, count), Parts(count), 1);

    /// <summary>dy becomes dx of <see cref="Gelu"/>.</summary>
    /// <param name="x">[count]: the input.</param>
    /// <param name="dy">[count]: changed in place.</param>
    /// <param name="count">Entries.</param>
    public static void GeluBackward(float* x, float* dy, long count) => HostThreads.For(new GeluBackwardJob(x, dy, count), Parts(count), 1);

    /// <summary>y = max(x, 0).</summary>
    /// <param name="x">[count].</param>
    /// <param name="y">Receives [count]; may be <paramref name="x"/>.</param>
    /// <param name="count">Entries.</param>
    public static void Relu(float* x, float* y, long count) => HostThreads.For(new ReluJob(x, y, count), Parts(count), 1);

    /// <summary>dy becomes dx of <see cref="Relu"/>.</summary>
    /// <param name="x">[count]: the input, or the output.</param>
    /// <param name="dy">[count]: changed in place.</param>
    /// <param name="count">Entries.</param>
    public static void ReluBackward(float* x, float* dy, long count) => HostThreads.For(new ReluBackwardJob(x, dy, count), Parts(count), 1);

    /// <summary>How many of the entries are not zero.</summary>
    /// <param name="x">[count].</param>
    /// <param name="count">Entries.</param>
    public static long CountNonzero(float* x, long count)
    {
        long total = 0;
        HostThreads.For(new CountJob(x, count, &total), Parts(count), 16);
        return total;
    }

    private static int RowsPerPart(int columns) => Math.Max(1, EntriesPerPart / columns);

    private static int Parts(long count) => checked((int)((count + EntriesPerPart - 1) / EntriesPerPart));

    private readonly struct GatherJob(float* table, int* ids, float* positions, int length, float* y, int columns) : IRangeJob
    {
        public void Run(int from, int to, int worker)
        {
            for (int row = from; row < to; row++)
            {
                float* source = table + ((long)ids[row] * columns), target = y + ((long)row * columns);
                if (positions is null)
                {
                    new ReadOnlySpan<float>(source, columns).CopyTo(new Span<float>(target, columns));
                    continue;
                }

                float* position = positions + ((long)(row % length) * columns);
                for (int c = 0; c < columns; c += Lanes)
                    VectorMath.StorePart(VectorMath.LoadPart(source + c, columns - c) + VectorMath.LoadPart(position + c, columns - c), target + c, columns - c);
            }
        }
    }

    private readonly struct FillJob(float* row, float* y, int columns) : IRangeJob
    {
        public void Run(int from, int to, int worker)
        {
            for (int i = from; i < to; i++) new ReadOnlySpan<float>(row, columns).CopyTo(new Span<float>(y + ((long)i * columns), columns));
        }
    }

    private readonly struct AddJob(float* a, float* b, float* y, long count) : IRangeJob
    {
        public void Run(int from, int to, int worker)
        {
            (long first, long end) = ((long)from * EntriesPerPart, Math.Min((long)to * EntriesPerPart, count));
            for (long i = first; i < end; i += Lanes)
            {
                int part = (int)Math.Min(Lanes, end - i);
                VectorMath.StorePart(VectorMath.LoadPart(a + i, part) + VectorMath.LoadPart(b + i, part), y + i, part);
            }
        }
    }

    private readonly struct GeluJob(float* x, float* y, long count) : IRangeJob
    {
        public void Run(int from, int to, int worker)
        {
            (long first, long end) = ((long)from * EntriesPerPart, Math.Min((long)to * EntriesPerPart, count));
            for (long i = first; i < end; i += Lanes)
            {
                int part = (int)Math.Min(Lanes, end - i);
                Vector512<float> value = VectorMath.LoadPart(x + i, part);
                VectorMath.StorePart(value * VectorMath.Normal(value).Distribution, y + i, part);
            }
        }
    }

    private readonly struct GeluBackwardJob(float* x, float* dy, long count) : IRangeJob
    {
        public void Run(int from, int to, int worker)
        {
            (long first, long end) = ((long)from * EntriesPerPart, Math.Min((long)to * EntriesPerPart, count));
            for (long i = first; i < end; i += Lanes)
            {
                int part = (int)Math.Min(Lanes, end - i);
                Vector512<float> gradient = VectorMath.LoadPart(dy + i, part);
                // Most gradients behind AbsTopK are zero, and often whole vectors.
                if (Vector512.EqualsAll(gradient, Vector512<float>.Zero)) continue;
                Vector512<float> value = VectorMath.LoadPart(x + i, part);
                (Vector512<float> distribution, Vector512<float> density) = VectorMath.Normal(value);
                VectorMath.StorePart(gradient * Vector512.FusedMultiplyAdd(value, density, distribution), dy + i, part);
            }
        }
    }

    private readonly struct ReluJob(float* x, float* y, long count) : IRangeJob
    {
        public void Run(int from, int to, int worker)
        {
            (long first, long end) = ((long)from * EntriesPerPart, Math.Min((long)to * EntriesPerPart, count));
            for (long i = first; i < end; i += Lanes)
            {
                int part = (int)Math.Min(Lanes, end - i);
                VectorMath.StorePart(Vector512.Max(VectorMath.LoadPart(x + i, part), Vector512<float>.Zero), y + i, part);
            }
        }
    }

    private readonly struct ReluBackwardJob(float* x, float* dy, long count) : IRangeJob
    {
        public void Run(int from, int to, int worker)
        {
            (long first, long end) = ((long)from * EntriesPerPart, Math.Min((long)to * EntriesPerPart, count));
            for (long i = first; i < end; i += Lanes)
            {
                int part = (int)Math.Min(Lanes, end - i);
                Vector512<float> positive = Vector512.GreaterThan(VectorMath.LoadPart(x + i, part), Vector512<float>.Zero);
                VectorMath.StorePart(VectorMath.LoadPart(dy + i, part) & positive, dy + i, part);
            }
        }
    }

    private readonly struct CountJob(float* x, long count, long* total) : IRangeJob
    {
        public void Run(int from, int to, int worker)
        {
            (long first, long end, long found) = ((long)from * EntriesPerPart, Math.Min((long)to * EntriesPerPart, count), 0);
            for (long i = first; i < end; i += Lanes)
            {
                ulong zeros = Vector512.Equals(VectorMath.LoadPart(x + i, (int)Math.Min(Lanes, end - i)), Vector512<float>.Zero).ExtractMostSignificantBits();
                found += Lanes - System.Numerics.BitOperations.PopCount(zeros);
            }

            Interlocked.Add(ref *total, found);
        }
    }
}
