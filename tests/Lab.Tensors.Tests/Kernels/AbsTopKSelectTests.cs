using System.Runtime.Intrinsics;
using CsCheck;
using Lab.Tensors.Kernels;
using Lab.Tensors.Kernels.Simd;

namespace Lab.Tensors.Tests.Kernels;

public sealed class AbsTopKSelectTests
{
    /// <summary>Shape, k between none and all, and the input.</summary>
    private static readonly Gen<(int Rows, int Columns, int K, float[] X)> Cases =
        from rows in Gen.Int[1, 9]
        from columns in Gen.Int[1, 150]
        from k in Gen.Int[0, columns]
        from x in Weights.Array(rows * columns)
        select (rows, columns, k, x);

    [Theory]
    [InlineData(LaneWidth.One)]
    [InlineData(LaneWidth.Eight)]
    [InlineData(LaneWidth.Sixteen)]
    public void Select_AnyInput_KeepsTheLargestAndOfTiesTheLowest(LaneWidth width) => Cases.Sample(sample =>
    {
        (float[] y, ulong[] kept) = Select(width, sample.X, sample.Rows, sample.Columns, sample.K, inPlace: false);
        (float[] expected, ulong[] bits) = Reference(sample.X, sample.Rows, sample.Columns, sample.K);
        Weights.Bits(y).ShouldBe(Weights.Bits(expected));
        kept.ShouldBe(bits);
    });

    [Theory]
    [InlineData(LaneWidth.One)]
    [InlineData(LaneWidth.Eight)]
    [InlineData(LaneWidth.Sixteen)]
    public void Select_InPlace_GivesTheSame(LaneWidth width) => Cases.Sample(sample =>
    {
        (float[] y, ulong[] kept) = Select(width, sample.X, sample.Rows, sample.Columns, sample.K, inPlace: true);
        (float[] expected, ulong[] bits) = Reference(sample.X, sample.Rows, sample.Columns, sample.K);
        Weights.Bits(y).ShouldBe(Weights.Bits(expected));
        kept.ShouldBe(bits);
    });

    [Theory]
    [InlineData(LaneWidth.One)]
    [InlineData(LaneWidth.Eight)]
    [InlineData(LaneWidth.Sixteen)]
    public unsafe void Mask_AnyGradient_PassesWhereKept(LaneWidth width) => Cases.Sample(sample =>
    {
        (float[] expected, ulong[] kept) = Reference(sample.X, sample.Rows, sample.Columns, sample.K);
        float[] target = new float[sample.X.Length];
        float[] inPlace = [.. sample.X];
        fixed (float* source = sample.X, result = target, both = inPlace)
        fixed (ulong* bits = kept)
        {
            Mask(width, source, bits, result, sample.Rows, sample.Columns);
            Mask(width, both, bits, both, sample.Rows, sample.Columns);
        }

        Weights.Bits(target).ShouldBe(Weights.Bits(expected));
        Weights.Bits(inPlace).ShouldBe(Weights.Bits(expected));
    });

    [Theory]
    [InlineData(LaneWidth.One)]
    [InlineData(LaneWidth.Eight)]
    [InlineData(LaneWidth.Sixteen)]
    public void Run_NotFinite_SaysWhereFirst(LaneWidth width) =>
        (from sample in Cases
         from bad in Gen.Int[0, 3].Select(i => new[] { float.NaN, -float.NaN, float.PositiveInfinity, float.NegativeInfinity }[i])
         from places in Gen.Int[0, sample.X.Length - 1].Array[1, 3]
         select (sample, bad, places)).Sample(tuple =>
    {
        ((int rows, int columns, int k, float[] x), float bad, int[] places) = tuple;
        float[] bitten = [.. x];
        foreach (int place in places) bitten[place] = bad;
        int first = places.Min();
        Should.Throw<NotFiniteException>(() => Select(width, bitten, rows, columns, k, inPlace: false)).Index.ShouldBe(first);
    });

    [Fact]
    public void Select_ManyRowsOnManyThreads_EqualsOneRowAtATime()
    {
        const int Rows = 700, Columns = 257, K = 31;
        Random random = new(3);
        float[] x = [.. Enumerable.Range(0, Rows * Columns).Select(i => (float)(random.NextDouble() - 0.5) * (1 + i / Columns))];
        (float[] y, ulong[] kept) = Select(LaneWidth.Sixteen, x, Rows, Columns, K, inPlace: false);
        (float[] expected, ulong[] bits) = Reference(x, Rows, Columns, K);
        y.ShouldBe(expected);
        kept.ShouldBe(bits);
    }

    [Fact]
    public void Run_NotFiniteOnManyThreads_SaysWhereFirst()
    {
        const int Rows = 2000, Columns = 257;
        float[] x = [.. Enumerable.Range(0, Rows * Columns).Select(i => MathF.Sin(i))];
        for (int row = 1999; row > 0; row -= 333)
        {
            x[row * Columns + 256] = float.NaN;
            Should.Throw<NotFiniteException>(() => Select(LaneWidth.Sixteen, x, Rows, Columns, 31, inPlace: false)).Index.ShouldBe(row * Columns + 256);
        }
    }

    [Fact]
    public unsafe void Select_Repeated_AllocatesNothing()
    {
        const int Rows = 256, Columns = 512;
        float[] x = [.. Enumerable.Range(0, Rows * Columns).Select(i => MathF.Sin(i))];
        ulong[] kept = new ulong[Rows * AbsTopK.WordsPerRow(Columns)];
        fixed (float* values = x)
        fixed (ulong* bits = kept)
        {
            AbsTopK.Select(values, values, bits, Rows, Columns, 100);
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < 20; i++)
            {
                AbsTopK.Select(values, values, bits, Rows, Columns, 100);
                AbsTopK.Mask(values, bits, values, Rows, Columns);
            }

            GC.GetAllocatedBytesForCurrentThread().ShouldBe(before);
        }
    }

    private static (float[] Y, ulong[] Kept) Reference(float[] x, int rows, int columns, int k)
    {
        int words = (columns + 63) / 64;
        float[] y = new float[x.Length];
        ulong[] kept = new ulong[rows * words];
        for (int row = 0; row < rows; row++)
        {
            foreach (int column in Weights.Order(new ArraySegment<float>(x, row * columns, columns)).Take(k))
            {
                y[row * columns + column] = x[row * columns + column];
                kept[row * words + column / 64] |= 1UL << (column % 64);
            }
        }

        return (y, kept);
    }

    private static unsafe (float[] Y, ulong[] Kept) Select(LaneWidth width, float[] x, int rows, int columns, int k, bool inPlace)
    {
        float[] input = [.. x];
        float[] output = inPlace ? input : [.. Enumerable.Repeat(float.NaN, x.Length)];
        ulong[] kept = new ulong[rows * AbsTopK.WordsPerRow(columns)];
        Array.Fill(kept, ulong.MaxValue);
        fixed (float* source = input, target = output)
        fixed (ulong* bits = kept)
        {
            long failed = long.MaxValue;
            if (width == LaneWidth.Sixteen) AbsTopK.Run<Lanes512, Vector512<float>, Vector512<int>>(source, target, bits, rows, columns, k, &failed, isMask: false);
            else if (width == LaneWidth.Eight) AbsTopK.Run<Lanes256, Vector256<float>, Vector256<int>>(source, target, bits, rows, columns, k, &failed, isMask: false);
            else AbsTopK.Run<Lanes1, float, int>(source, target, bits, rows, columns, k, &failed, isMask: false);
            if (failed != long.MaxValue) throw new NotFiniteException(failed);
        }

        return (output, kept);
    }

    private static unsafe void Mask(LaneWidth width, float* dy, ulong* kept, float* dx, int rows, int columns)
    {
        if (width == LaneWidth.Sixteen) AbsTopK.Mask<Lanes512, Vector512<float>, Vector512<int>>(dy, kept, dx, rows, columns);
        else if (width == LaneWidth.Eight) AbsTopK.Mask<Lanes256, Vector256<float>, Vector256<int>>(dy, kept, dx, rows, columns);
        else AbsTopK.Mask<Lanes1, float, int>(dy, kept, dx, rows, columns);
    }

    private sealed class NotFiniteException(long index) : Exception
    {
        public long Index { get; } = index;
    }
}
