namespace Lab.Tensors.Kernels.Simd;

/// <summary>The vector operations of <see cref="IFloatLanes{TFloat}"/>, and those on the bits of the same lanes.</summary>
/// <typeparam name="TFloat">Lanes of FP32.</typeparam>
/// <typeparam name="TBits">The same lanes as 32-bit integers.</typeparam>
internal unsafe interface ILanes<TFloat, TBits> : IFloatLanes<TFloat>
    where TFloat : struct
    where TBits : struct
{
    static abstract TBits LoadBits(int* address);

    static abstract void StoreBits(TBits value, int* address);

    static abstract TBits BroadcastBits(int value);

    /// <summary>The bits of |value|; as integers they order as the magnitudes do.</summary>
    static abstract TBits Magnitude(TFloat value);

    static abstract TBits AddBits(TBits left, TBits right);

    static abstract TBits Max(TBits left, TBits right);

    static abstract TBits Min(TBits left, TBits right);

    static abstract int MaxOfLanes(TBits value);

    static abstract TBits ShiftRight(TBits value, int count);

    /// <summary>One bit a lane: whether left is at least right, signed.</summary>
    static abstract uint AtLeast(TBits left, TBits right);

    /// <summary>One bit a lane: whether left equals right.</summary>
    static abstract uint AreEqual(TBits left, TBits right);

    /// <summary>Adds one to the lanes of <paramref name="counts"/> where left is at least right.</summary>
    static abstract TBits CountAtLeast(TBits counts, TBits left, TBits right);

    static abstract int SumOfLanes(TBits value);

    /// <summary><paramref name="value"/> where left is at least right, else 0.</summary>
    static abstract TFloat KeepAtLeast(TFloat value, TBits left, TBits right);

    /// <summary><paramref name="value"/> in the lanes whose bit is set, else 0.</summary>
    static abstract TFloat Keep(TFloat value, uint lanes);
}
