using System.Runtime.InteropServices;

namespace Lab.Tensors;

/// <summary>
/// A tensor in host memory: owned, contiguous, row-major, little-endian, immutable by agreement. It holds no native
/// memory, so it may cross threads and awaits freely and needs no disposal. Two are equal if name, type, shape and bytes are.
/// </summary>
/// <param name="Name">The tensor's name, such as the hook that it was captured at; may be empty.</param>
/// <param name="DataType">The type of the elements.</param>
/// <param name="Shape">The dimensions, outermost first; at most 8; empty for a scalar. Not copied: the caller gives it away.</param>
/// <param name="Data">The elements: as many bytes as the product of <paramref name="Shape"/> times the element size. Not copied.</param>
/// <exception cref="ArgumentException">The shape is unlawful, or the number of bytes does not follow from shape and type.</exception>
public sealed record HostTensor(string Name, TensorDataType DataType, long[] Shape, ReadOnlyMemory<byte> Data)
{
    /// <summary>The type of the elements.</summary>
    public TensorDataType DataType { get; } = DataType;

    /// <summary>The dimensions, outermost first; empty for a scalar. Not to be written to.</summary>
    public long[] Shape { get; } = Shape;

    /// <summary>The elements, row-major and little-endian.</summary>
    public ReadOnlyMemory<byte> Data { get; } = Data;

    /// <summary>The product of the shape; 1 for a scalar.</summary>
    public long ElementCount { get; } = CheckedCount(Name, DataType, Shape, Data);

    /// <summary>The elements of a <see cref="TensorDataType.Float32"/> tensor, without a copy.</summary>
    /// <exception cref="InvalidOperationException">The elements have another type.</exception>
    public ReadOnlySpan<float> Floats => DataType == TensorDataType.Float32
        ? MemoryMarshal.Cast<byte, float>(Data.Span)
        : throw new InvalidOperationException($"Tensor '{Name}' holds {DataType}, not {TensorDataType.Float32}.");

    /// <summary>Makes a <see cref="TensorDataType.Float32"/> tensor of a copy of some values.</summary>
    /// <param name="name">The tensor's name.</param>
    /// <param name="values">The elements, row-major.</param>
    /// <param name="shape">The dimensions, outermost first; none for a scalar.</param>
    /// <returns>The tensor.</returns>
    /// <exception cref="ArgumentException">The number of values is not the product of the shape.</exception>
    public static HostTensor FromFloats(string name, float[] values, params long[] shape)
    {
        ArgumentNullException.ThrowIfNull(values);
        return new HostTensor(name, TensorDataType.Float32, shape, MemoryMarshal.AsBytes(values.AsSpan()).ToArray());
    }

    /// <inheritdoc/>
    public bool Equals(HostTensor? other) =>
        ReferenceEquals(this, other)
        || (other is not null && Name == other.Name && DataType == other.DataType
            && Shape.AsSpan().SequenceEqual(other.Shape) && Data.Span.SequenceEqual(other.Data.Span));

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Name, DataType, ElementCount);

    /// <summary>Name, type and shape; never the elements.</summary>
    /// <returns>Text such as <c>hook_embed Float32 [2, 64, 128]</c>.</returns>
    public override string ToString() => $"{Name} {DataType} {TensorShape.Format(Shape)}";

    private static long CheckedCount(string name, TensorDataType type, long[] shape, ReadOnlyMemory<byte> data)
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(shape);
        if (!TensorShape.TryCount(shape, type.Size(), out long count, out string? error))
            throw new ArgumentException($"The shape of tensor '{name}' {error}.", nameof(shape));
        if (count * type.Size() != data.Length)
        {
            throw new ArgumentException(
                $"Tensor '{name}' of shape {TensorShape.Format(shape)} and type {type} needs {count * type.Size()} bytes, but has {data.Length}.",
                nameof(data));
        }

        return count;
    }
}
