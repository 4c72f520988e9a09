using Lab.Protos.Tensor.V1;

namespace Lab.Tensors;

/// <summary>Element types on the wire.</summary>
public static class TensorProtoMapping
{
    /// <summary>The type's name on the wire.</summary>
    /// <param name="type">The type.</param>
    /// <returns>The name.</returns>
    public static DataType ToProto(this TensorDataType type) => type switch
    {
        TensorDataType.Float32 => DataType.Fp32,
        TensorDataType.Float16 => DataType.Fp16,
        TensorDataType.BFloat16 => DataType.Bf16,
        TensorDataType.Float64 => DataType.Fp64,
        TensorDataType.Int64 => DataType.Int64,
        TensorDataType.Int32 => DataType.Int32,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "Not an element type."),
    };

    /// <summary>The type of a name on the wire.</summary>
    /// <param name="type">The name.</param>
    /// <returns>The type; null for an unspecified or unknown one.</returns>
    public static TensorDataType? ToCore(this DataType type) => type switch
    {
        DataType.Fp32 => TensorDataType.Float32,
        DataType.Fp16 => TensorDataType.Float16,
        DataType.Bf16 => TensorDataType.BFloat16,
        DataType.Fp64 => TensorDataType.Float64,
        DataType.Int64 => TensorDataType.Int64,
        DataType.Int32 => TensorDataType.Int32,
        _ => null,
    };
}
