using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Lab.Tensors.Kernels.Training;

/// <summary>Elementary functions of sixteen FP32 values at once. Without AVX-512 the runtime splits the vectors.</summary>
internal static class VectorMath
{
    /// <summary>exp(x) to about 2 units in the last place, for x from -87 to 88; beyond, that of the nearer end, which is never 0. NaN stays NaN.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Exp(Vector512<float> x)
    {
        x = Vector512.Min(Vector512.Max(x, Vector512.Create(-87f)), Vector512.Create(88f));
        Vector512<int> exponent = Vector512.ConvertToInt32(Vector512.Floor((x * 1.44269504f) + Vector512.Create(0.5f)));
        Vector512<float> n = Vector512.ConvertToSingle(exponent);
        // ln 2 in two parts, the first exact in few bits: the reduced argument loses nothing.
        Vector512<float> r = Vector512.FusedMultiplyAdd(n, Vector512.Create(-0.693359375f), x);
        r = Vector512.FusedMultiplyAdd(n, Vector512.Create(2.12194440e-4f), r);
        Vector512<float> p = Vector512.Create(1.9875691500e-4f);
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(1.3981999507e-3f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(8.3334519073e-3f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(4.1665795894e-2f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(1.6666665459e-1f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(5.0000001201e-1f));
        p = Vector512.FusedMultiplyAdd(p, r * r, r + Vector512<float>.One);
        return p * (Vector512.ShiftLeft(exponent + Vector512.Create(127), 23)).AsSingle();
    }

    /// <summary>
    /// The standard normal distribution function at x and its density (Abramowitz and Stegun 7.1.26: absolute error below 1e-7), which
    /// share one exponential.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector512<float> Distribution, Vector512<float> Density) Normal(Vector512<float> x)
    {
        Vector512<float> magnitude = Vector512.Abs(x) * 0.70710678f;
        Vector512<float> exponential = Exp(x * x * -0.5f);
        Vector512<float> t = Vector512<float>.One / Vector512.FusedMultiplyAdd(magnitude, Vector512.Create(0.3275911f), Vector512<float>.One);
        Vector512<float> p = Vector512.Create(1.061405429f);
        p = Vector512.FusedMultiplyAdd(p, t, Vector512.Create(-1.453152027f));
        p = Vector512.FusedMultiplyAdd(p, t, Vector512.Create(1.421413741f));
        p = Vector512.FusedMultiplyAdd(p, t, Vector512.Create(-0.284496736f));
        p = Vector512.FusedMultiplyAdd(p, t, Vector512.Create(0.254829592f));
        Vector512<float> tail = p * t * exponential * 0.5f;                                         // P(X > |x|)
        Vector512<float> distribution = Vector512.ConditionalSelect(Vector512.LessThan(x, Vector512<float>.Zero), tail, Vector512<float>.One - tail);
        return (distribution, exponential * 0.39894228f);
    }

    /// <summary>Up to sixteen values, zero beyond <paramref name="count"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe Vector512<float> LoadPart(float* source, int count)
    {
        if (count >= 16) return Vector512.Load(source);
        float* part = stackalloc float[16];
        for (int i = 0; i < 16; i++) part[i] = i < count ? source[i] : 0;
        return Vector512.Load(part);
    }

    /// <summary>The first <paramref name="count"/> of sixteen values.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe void StorePart(Vector512<float> values, float* target, int count)
    {
        if (count >= 16)
        {
            values.Store(target);
            return;
        }

        float* part = stackalloc float[16];
        values.Store(part);
        for (int i = 0; i < count; i++) target[i] = part[i];
    }
}
