using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Lab.Models.Statistics;

/// <summary>
/// Mean, sum of squared deviations, minimum, maximum and number of zeros of each channel, in double. Blocks are summed about their first
/// value, whose square distance from the mean is at most the block's own sum of squares, so that nothing cancels; blocks are merged by the
/// formula of Chan, Golub and LeVeque (1983).
/// </summary>
internal sealed class ChannelMoments
{
    private const int Lanes = 8;

    public ChannelMoments(int channels)
    {
        int size = ActivationTile.Padded(channels);
        (Mean, SquaredDeviations, Min, Max, Zeros) = (new double[size], new double[size], new float[size], new float[size], new long[size]);
        Array.Fill(Min, float.PositiveInfinity);
        Array.Fill(Max, float.NegativeInfinity);
    }

    // The arrays have an element for each channel, and for what fills up the last tile.
    public double[] Mean { get; }

    public double[] SquaredDeviations { get; }

    public float[] Min { get; }

    public float[] Max { get; }

    public long[] Zeros { get; }

    /// <summary>Adds the tokens of a tile to its channels.</summary>
    /// <param name="tile">The values, all finite.</param>
    /// <param name="count">The tokens that these channels have seen before.</param>
    public void Add(ActivationTile tile, long count)
    {
        Span<double> sums = stackalloc double[Lanes], squares = stackalloc double[Lanes];
        Span<int> zeros = stackalloc int[Lanes];
        int tokens = tile.Tokens;
        for (int lane = 0; lane < ActivationTile.Width; lane += Lanes)
        {
            ref float value = ref Unsafe.Add(ref Unsafe.AsRef(in tile.First), lane);
            Vector256<float> first = Vector256.LoadUnsafe(ref value), min = first, max = first;
            (Vector256<double> firstLow, Vector256<double> firstHigh) = Vector256.Widen(first);
            Vector256<double> sumLow = default, sumHigh = default, squareLow = default, squareHigh = default;
            Vector256<int> zero = default;
            for (int i = 0; i < tokens; i++)
            {
                Vector256<float> x = Vector256.LoadUnsafe(ref value, (nuint)(i * ActivationTile.Width));
                min = Vector256.MinNative(min, x);
                max = Vector256.MaxNative(max, x);
                zero -= Vector256.Equals(x, Vector256<float>.Zero).AsInt32();
                (Vector256<double> low, Vector256<double> high) = Vector256.Widen(x);
                low -= firstLow;
                high -= firstHigh;
                sumLow += low;
                sumHigh += high;
                squareLow = Vector256.FusedMultiplyAdd(low, low, squareLow);
                squareHigh = Vector256.FusedMultiplyAdd(high, high, squareHigh);
            }

            sumLow.CopyTo(sums);
            sumHigh.CopyTo(sums[4..]);
            squareLow.CopyTo(squares);
            squareHigh.CopyTo(squares[4..]);
            zero.CopyTo(zeros);
            int channel = tile.Channel + lane;
            for (int i = 0; i < Lanes; i++)
            {
                double shift = sums[i] / tokens;
                Merge(channel + i, count, tokens, first[i] + shift, Math.Max(0, squares[i] - (shift * sums[i])));
                Zeros[channel + i] += zeros[i];
            }

            // Adding zero turns -0 into 0, so that equal data gives equal bits in any order.
            Vector256.MinNative(Vector256.LoadUnsafe(ref Min[channel]), min + Vector256<float>.Zero).StoreUnsafe(ref Min[channel]);
            Vector256.MaxNative(Vector256.LoadUnsafe(ref Max[channel]), max + Vector256<float>.Zero).StoreUnsafe(ref Max[channel]);
        }
    }

    /// <summary>Adds what another has seen.</summary>
    public void Merge(ChannelMoments other, long count, long otherCount)
    {
        if (otherCount == 0) return;
        for (int i = 0; i < Mean.Length; i++)
        {
            Merge(i, count, otherCount, other.Mean[i], other.SquaredDeviations[i]);
            Min[i] = Math.Min(Min[i], other.Min[i]);
            Max[i] = Math.Max(Max[i], other.Max[i]);
            Zeros[i] += other.Zeros[i];
        }
    }

    private void Merge(int channel, long count, long otherCount, double otherMean, double otherSquaredDeviations)
    {
        double total = (double)count + otherCount, delta = otherMean - Mean[channel];
        Mean[channel] = count == 0 ? otherMean : Mean[channel] + (delta * (otherCount / total));
        SquaredDeviations[channel] += otherSquaredDeviations + (count == 0 ? 0 : delta * delta * (count / total) * otherCount);
    }
}
