using System.Numerics;
using Lab.Tensors.Kernels.Simd;

namespace Lab.Tensors.Kernels;

/// <summary>
/// Counts of magnitudes by their bits. The 31 bits of a magnitude are looked at in three parts, from the top: 12, 10 and 9.
/// The first count sees every entry; the later ones see only those that share the threshold's upper bits.
/// </summary>
internal static unsafe class MagnitudeHistogram
{
    /// <summary>Buckets of the first count: sign excluded, exponent and four bits of mantissa.</summary>
    public const int Buckets = 1 << 12;

    /// <summary>Interleaved copies of the first count: neighbours often share a bucket, and would wait for each other's store.</summary>
    public const int Copies = 4;

    /// <summary>The most buckets of a later count.</summary>
    public const int LowerBuckets = 1 << 10;

    /// <summary>Bits below the part of the first and of the second count; below the third's there are none.</summary>
    public const int Shift1 = 19, Shift2 = 9;

    /// <summary>The first bucket that holds infinities and NaN; all finite values are below.</summary>
    public const int FirstNotFinite = 0x7F800000 >> Shift1;

    /// <summary>Adds the entries to the first count.</summary>
    /// <param name="values">Entries.</param>
    /// <param name="count">How many.</param>
    /// <param name="buckets"><see cref="Copies"/> times <see cref="Buckets"/>.</param>
    public static void Add(float* values, int count, uint* buckets)
    {
        const int Mask = Buckets - 1;
        uint* second = buckets + Buckets, third = second + Buckets, fourth = third + Buckets;
        int i = 0;
        for (; i <= count - 4; i += 4)
        {
            ulong low = *(ulong*)(values + i), high = *(ulong*)(values + i + 2);
            buckets[(low >> Shift1) & Mask]++;
            second[(low >> (32 + Shift1)) & Mask]++;
            third[(high >> Shift1) & Mask]++;
            fourth[(high >> (32 + Shift1)) & Mask]++;
        }

        for (; i < count; i++) buckets[(*(uint*)(values + i) >> Shift1) & Mask]++;
    }

    /// <summary>Adds to a later count the entries whose magnitude, without its lowest <paramref name="prefixShift"/> bits, is the prefix.</summary>
    public static void AddWithin<TLanes, TFloat, TBits>(float* values, int count, int prefixShift, int prefix, int shift, uint* buckets)
        where TLanes : struct, ILanes<TFloat, TBits>
        where TFloat : struct
        where TBits : struct
    {
        int mask = (1 << (prefixShift - shift)) - 1;
        TBits wanted = TLanes.BroadcastBits(prefix);
        int i = 0;
        for (; i <= count - TLanes.Count; i += TLanes.Count)
        {
            uint inside = TLanes.AreEqual(TLanes.ShiftRight(TLanes.Magnitude(TLanes.Load(values + i)), prefixShift), wanted);
            for (; inside != 0; inside &= inside - 1)
            {
                buckets[(*(int*)(values + i + BitOperations.TrailingZeroCount(inside)) >> shift) & mask]++;
            }
        }

        for (; i < count; i++)
        {
            int magnitude = Lanes1.Magnitude(values[i]);
            if (magnitude >> prefixShift == prefix) buckets[(magnitude >> shift) & mask]++;
        }
    }
}
