namespace Lab.Tensors;

/// <summary>One tensor of a safetensors file, before it is read.</summary>
/// <param name="Name">The tensor's key in the file.</param>
/// <param name="DataType">The type of the elements.</param>
/// <param name="Shape">The dimensions, outermost first; empty for a scalar.</param>
/// <param name="Offset">Where the elements begin, in bytes from the start of the file.</param>
/// <param name="ByteCount">The number of bytes: the product of <paramref name="Shape"/> times the element size.</param>
public sealed record SafetensorsEntry(string Name, TensorDataType DataType, IReadOnlyList<long> Shape, long Offset, long ByteCount);
