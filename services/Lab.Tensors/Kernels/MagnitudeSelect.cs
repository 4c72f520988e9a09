using System.Numerics;
using System.Runtime.Intrinsics;

namespace Lab.Tensors.Kernels;

/// <summary>
/// Exact selection of the k largest magnitudes. The bit pattern of a non-negative float orders as the float does, so the
/// k-th largest is found bit by bit from the top, with one counting pass for each of the 31 bits: no data-dependent
/// branches, no swaps, and the passes run at memory speed.
/// </summary>
internal static unsafe class MagnitudeSelect
{
    private const uint MagnitudeBits = 0x7FFFFFFF;

    /// <summary>
    /// The magnitude bits t of the k-th largest of <paramref name="count"/> values, 1 &lt;= k &lt;= count. At least k
    /// values have magnitude bits of t or more.
    /// </summary>
    public static uint Threshold(uint* magnitudes, int count, int k)
    {
        uint threshold = 0;
        for (uint bit = 1u << 30; bit != 0; bit >>= 1)
        {
            uint candidate = threshold | bit;
            if (CountAtLeast(magnitudes, count, candidate) >= k) threshold = candidate;
        }

        return threshold;
    }

    /// <summary>Writes |x| as bits.</summary>
    public static void Magnitudes(float* values, uint* magnitudes, int count)
    {
        uint* bits = (uint*)values;
        int i = 0;
        Vector512<uint> mask = Vector512.Create(MagnitudeBits);
        for (; i <= count - Vector512<uint>.Count; i += Vector512<uint>.Count)
        {
            (Vector512.Load(bits + i) & mask).Store(magnitudes + i);
        }

        for (; i < count; i++) magnitudes[i] = bits[i] & MagnitudeBits;
    }

    private static int CountAtLeast(uint* magnitudes, int count, uint candidate)
    {
        int i = 0;
        int total = 0;
        // Magnitudes and candidates are below 2^31, so the signed comparison, which every instruction set has, is right.
        Vector512<int> bound = Vector512.Create((int)candidate);
        for (; i <= count - Vector512<int>.Count; i += Vector512<int>.Count)
        {
            Vector512<int> atLeast = Vector512.GreaterThanOrEqual(Vector512.Load((int*)magnitudes + i), bound);
            total += BitOperations.PopCount(Vector512.ExtractMostSignificantBits(atLeast));
        }

        for (; i < count; i++) total += magnitudes[i] >= candidate ? 1 : 0;
        return total;
    }

    /// <summary>Writes 1 where a value is among the k largest magnitudes and 0 elsewhere; ties go to the lowest index.</summary>
    public static void WriteMask(uint* magnitudes, int count, int k, float* mask)
    {
        uint threshold = Threshold(magnitudes, count, k);
        int above = threshold == uint.MaxValue >> 1 ? 0 : CountAtLeast(magnitudes, count, threshold + 1);
        int ties = k - above;
        for (int i = 0; i < count; i++)
        {
            uint magnitude = magnitudes[i];
            bool kept = magnitude > threshold || (magnitude == threshold && ties-- > 0);
            mask[i] = kept ? 1f : 0f;
        }
    }
}
