namespace Lab.Tensors;

/// <summary>One tensor of a safetensors file, before it is read.</summary>
/// <param name="Name">The tensor's key in the file.</param>
/// <param name="StoredType">The type of the elements in the file.</param>
/// <param name="Shape">The dimensions, outermost first; empty for a scalar.</param>
/// <param name="Offset">Where the elements begin, in bytes from the start of the file.</param>
/// <param name="ByteCount">The number of bytes: the product of <paramref name="Shape"/> times the element size.</param>
public sealed record SafetensorsEntry(string Name, StoredDataType StoredType, IReadOnlyList<long> Shape, long Offset, long ByteCount)
{
    /// <summary>The type of the elements in host memory; null if they have no counterpart there and cannot be read.</summary>
    public TensorDataType? DataType => StoredType.HostType;
}
