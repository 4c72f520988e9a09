namespace Lab.Tensors;

/// <summary>The element types that tensors have in host memory, on the wire and in files. All are little-endian.</summary>
public enum TensorDataType
{
    /// <summary>IEEE 754 binary32, 4 bytes.</summary>
    Float32,

    /// <summary>IEEE 754 binary16, 2 bytes.</summary>
    Float16,

    /// <summary>The upper half of binary32, 2 bytes.</summary>
    BFloat16,

    /// <summary>IEEE 754 binary64, 8 bytes.</summary>
    Float64,

    /// <summary>Signed 64-bit integer, 8 bytes.</summary>
    Int64,

    /// <summary>Signed 32-bit integer, 4 bytes.</summary>
    Int32,
}

/// <summary>Sizes of <see cref="TensorDataType"/>.</summary>
public static class TensorDataTypeExtensions
{
    /// <summary>The size of one element in bytes.</summary>
    /// <param name="type">The element type.</param>
    /// <returns>2, 4 or 8.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The value is not a member of the enumeration.</exception>
    public static int Size(this TensorDataType type) => type switch
    {
        TensorDataType.Float16 or TensorDataType.BFloat16 => 2,
        TensorDataType.Float32 or TensorDataType.Int32 => 4,
        TensorDataType.Float64 or TensorDataType.Int64 => 8,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "Not an element type."),
    };
}
