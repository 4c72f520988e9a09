using System.Runtime.Intrinsics;
using Lab.Tensors.Kernels.Simd;

namespace Lab.Tensors.Kernels.Training;

/// <summary>
/// Sums over rows. The work is split by columns, so a sum has one order whatever the number of threads, and nothing needs
/// memory beside the result.
/// </summary>
public static unsafe class ColumnKernels
{
    /// <summary>Columns of one part: four cache lines.</summary>
    public const int Slice = 64;

    private const int Lanes = 16;

    /// <summary>The sum of all rows: a bias's gradient.</summary>
    /// <param name="x">[rows, columns].</param>
    /// <param name="sums">Receives [columns].</param>
    /// <param name="rows">Rows.</param>
    /// <param name="columns">Columns.</param>
    public static void Sum(float* x, float* sums, int rows, int columns) =>
        HostThreads.For(new SumJob(x, sums, rows, columns), (columns + Slice - 1) / Slice, 1);

    /// <summary>Adds each row to the row of a table that its ID names: an embedding's gradient.</summary>
    /// <param name="x">[rows, columns].</param>
    /// <param name="ids">[rows].</param>
    /// <param name="table">[.., columns]; rows that no ID names are left alone.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="columns">Columns.</param>
    public static void ScatterAdd(float* x, int* ids, float* table, int rows, int columns) =>
        HostThreads.For(new ScatterJob(x, ids, table, rows, columns), (columns + Slice - 1) / Slice, 1);

    private readonly struct SumJob(float* x, float* sums, int rows, int columns) : IRangeJob
    {
        public void Run(int from, int to, int worker)
        {
            for (int slice = from; slice < to; slice++)
            {
                int first = slice * Slice, count = Math.Min(Slice, columns - first);
                float* source = x + first;
                if (count == Slice)
                {
                    Vector512<float> s0 = default, s1 = default, s2 = default, s3 = default;
                    for (int row = 0; row < rows; row++, source += columns)
                    {
                        s0 += Vector512.Load(source);
                        s1 += Vector512.Load(source + Lanes);
                        s2 += Vector512.Load(source + (2 * Lanes));
                        s3 += Vector512.Load(source + (3 * Lanes));
                    }

                    s0.Store(sums + first);
                    s1.Store(sums + first + Lanes);
                    s2.Store(sums + first + (2 * Lanes));
                    s3.Store(sums + first + (3 * Lanes));
                    continue;
                }

                new Span<float>(sums + first, count).Clear();
                for (int row = 0; row < rows; row++, source += columns)
                {
                    for (int c = 0; c < count; c++) sums[first + c] += source[c];
                }
            }
        }
    }

    private readonly struct ScatterJob(float* x, int* ids, float* table, int rows, int columns) : IRangeJob
    {
        public void Run(int from, int to, int worker)
        {
            for (int slice = from; slice < to; slice++)
            {
                int first = slice * Slice, count = Math.Min(Slice, columns - first);
                for (int row = 0; row < rows; row++)
                {
                    float* source = x + ((long)row * columns) + first, target = table + ((long)ids[row] * columns) + first;
                    for (int c = 0; c < count; c += Lanes)
                        VectorMath.StorePart(VectorMath.LoadPart(target + c, count - c) + VectorMath.LoadPart(source + c, count - c), target + c, count - c);
                }
            }
        }
    }
}
