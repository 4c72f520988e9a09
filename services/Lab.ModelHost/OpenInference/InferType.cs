using Lab.Tensors;

namespace Lab.ModelHost.OpenInference;

/// <summary>The protocol's names of element types.</summary>
internal static class InferType
{
    public const string Bool = "BOOL";
    public const string Int32 = "INT32";
    public const string Int64 = "INT64";
    public const string Fp32 = "FP32";

    /// <summary>The types that outputs may have.</summary>
    public static IReadOnlyDictionary<string, TensorDataType> Outputs { get; } = new Dictionary<string, TensorDataType>
    {
        [Fp32] = TensorDataType.Float32,
        ["FP16"] = TensorDataType.Float16,
        ["BF16"] = TensorDataType.BFloat16,
        ["FP64"] = TensorDataType.Float64,
    };
}
