using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Lab.Models.Statistics;

/// <summary>The Euclidean norms of tokens: mean, sum of squared deviations, minimum and maximum in double, and a sketch of them as floats.</summary>
internal sealed class NormMoments(QuantileSketch? sketch)
{
    public double Mean { get; set; }

    public double SquaredDeviations { get; set; }

    public double Min { get; set; } = double.PositiveInfinity;

    public double Max { get; set; } = double.NegativeInfinity;

    public QuantileSketch? Sketch => sketch;

    /// <summary>Adds one token.</summary>
    /// <param name="squaredNorm">Finite.</param>
    /// <param name="count">The tokens that were added before.</param>
    public void Add(double squaredNorm, long count)
    {
        double norm = Math.Sqrt(squaredNorm), delta = norm - Mean;
        Mean += delta / (count + 1);
        SquaredDeviations += delta * (norm - Mean);
        Min = Math.Min(Min, norm);
        Max = Math.Max(Max, norm);

        // Of huge activations the norm may be above the largest float.
        sketch?.Add([(float)Math.Min(norm, float.MaxValue)], 1, 1);
    }

    /// <summary>Adds what another has seen.</summary>
    public void Merge(NormMoments other, long count, long otherCount)
    {
        if (otherCount == 0) return;
        double total = (double)count + otherCount, delta = other.Mean - Mean;
        Mean = count == 0 ? other.Mean : Mean + (delta * (otherCount / total));
        SquaredDeviations += other.SquaredDeviations + (count == 0 ? 0 : delta * delta * (count / total) * otherCount);
        Min = Math.Min(Min, other.Min);
        Max = Math.Max(Max, other.Max);
        if (other.Sketch is not null) sketch?.Merge(other.Sketch);
    }

    /// <summary>The squared norm of a row, in double, where squares of floats cannot overflow: not finite only if an element is not.</summary>
    public static double Squared(ReadOnlySpan<float> row)
    {
        ref float first = ref MemoryMarshal.GetReference(row);
        Vector256<double> a = default, b = default;
        int i = 0;
        for (; i <= row.Length - Vector256<float>.Count; i += Vector256<float>.Count)
        {
            (Vector256<double> low, Vector256<double> high) = Vector256.Widen(Vector256.LoadUnsafe(ref first, (nuint)i));
            a = Vector256.FusedMultiplyAdd(low, low, a);
            b = Vector256.FusedMultiplyAdd(high, high, b);
        }

        double sum = Vector256.Sum(a + b);
        for (; i < row.Length; i++) sum += (double)Unsafe.Add(ref first, i) * Unsafe.Add(ref first, i);
        return sum;
    }
}
