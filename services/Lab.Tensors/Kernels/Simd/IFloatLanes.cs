namespace Lab.Tensors.Kernels.Simd;

/// <summary>
/// The vector operations on FP32 of the kernels at one width. A kernel is written once over this interface and compiled for
/// each width; the width of one is the fallback without vector instructions, and does the tails of the others. Every
/// operation gives the same bits at every width.
/// </summary>
/// <typeparam name="TFloat">Lanes of FP32.</typeparam>
internal unsafe interface IFloatLanes<TFloat>
    where TFloat : struct
{
    /// <summary>Lanes in a vector, at most 16.</summary>
    static abstract int Count { get; }

    static abstract TFloat Load(float* address);

    static abstract void Store(TFloat value, float* address);

    static abstract TFloat Broadcast(float value);

    static abstract TFloat Add(TFloat left, TFloat right);

    static abstract TFloat Subtract(TFloat left, TFloat right);

    static abstract TFloat Multiply(TFloat left, TFloat right);

    static abstract TFloat Divide(TFloat left, TFloat right);

    static abstract TFloat Sqrt(TFloat value);

    /// <summary>left right + addend, rounded once.</summary>
    static abstract TFloat MultiplyAdd(TFloat left, TFloat right, TFloat addend);

    /// <summary>One bit a lane: whether it is not zero; NaN is not.</summary>
    static abstract uint Nonzeros(TFloat value);

    /// <summary>Writes a tile of Count x Count the other way round. Only where the processor has these vectors.</summary>
    /// <param name="source">The tile's first entry.</param>
    /// <param name="sourceStride">Entries from one row to the next.</param>
    /// <param name="target">Where the tile's first row becomes a column.</param>
    /// <param name="targetStride">Entries from one row to the next.</param>
    static abstract void Transpose(float* source, nint sourceStride, float* target, nint targetStride);
}
