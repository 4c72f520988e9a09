namespace Lab.Tensors;

/// <summary>
/// Where in a file a tensor lies, proven against the file's length before one of these is made: no element lies outside, and
/// the tensor has no more elements than lie between its first and its last.
/// </summary>
/// <param name="Name">The tensor's name, for messages.</param>
/// <param name="Type">The type of the elements.</param>
/// <param name="Offset">Where the first element begins, in bytes from the start of the file; of any alignment.</param>
/// <param name="Shape">The dimensions, outermost first; empty for a scalar.</param>
/// <param name="Strides">For each dimension the distance of neighbours, in elements; none negative. Null for row-major without gaps.</param>
public sealed record StoredTensor(string Name, StoredDataType Type, long Offset, long[] Shape, long[]? Strides = null)
{
    /// <summary>The number of elements from the first to the last, gaps included; 0 if there is none.</summary>
    public long Span { get; } = CountSpan(Shape, Strides);

    private static long CountSpan(long[] shape, long[]? strides)
    {
        if (shape.Contains(0)) return 0;
        long span = 1;
        for (int i = 0; i < shape.Length; i++) span = strides is null ? span * shape[i] : span + ((shape[i] - 1) * strides[i]);
        return span;
    }
}
