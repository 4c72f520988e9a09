using TorchSharp;

namespace Lab.Tensors;

/// <summary>
/// An element type of tensors in files, as safetensors names it. A file may hold types that this process cannot compute
/// with: they are listed, and refused only when such a tensor is loaded.
/// </summary>
public sealed class StoredDataType
{
    private static readonly Dictionary<string, StoredDataType> Known = new StoredDataType[]
    {
        new("F32", 32, torch.ScalarType.Float32, TensorDataType.Float32),
        new("F16", 16, torch.ScalarType.Float16, TensorDataType.Float16),
        new("BF16", 16, torch.ScalarType.BFloat16, TensorDataType.BFloat16),
        new("F64", 64, torch.ScalarType.Float64, TensorDataType.Float64),
        new("I64", 64, torch.ScalarType.Int64, TensorDataType.Int64),
        new("I32", 32, torch.ScalarType.Int32, TensorDataType.Int32),
        new("I16", 16, torch.ScalarType.Int16),
        new("I8", 8, torch.ScalarType.Int8),
        new("U8", 8, torch.ScalarType.Byte),
        // A byte other than 0 and 1 is no bool to libtorch, and proving that there is none means to read them all.
        new("BOOL", 8),
        new("U16", 16),
        new("U32", 32),
        new("U64", 64),
        new("C64", 64),
        new("F8_E4M3", 8),
        new("F8_E5M2", 8),
        new("F8_E8M0", 8),
        new("F8_E4M3FNUZ", 8),
        new("F8_E5M2FNUZ", 8),
        new("F6_E2M3", 6),
        new("F6_E3M2", 6),
        new("F4", 4),
    }.ToDictionary(type => type.Code, StringComparer.Ordinal);

    private StoredDataType(string code, int bits, torch.ScalarType? scalarType = null, TensorDataType? hostType = null)
    {
        Code = code;
        Bits = bits;
        ScalarType = scalarType;
        HostType = hostType;
    }

    /// <summary>The name in safetensors headers, such as <c>BF16</c>.</summary>
    public string Code { get; }

    /// <summary>The size of one element in bits; below 8 for some.</summary>
    public int Bits { get; }

    /// <summary>The size of one element in bytes, rounded up.</summary>
    public int Bytes => (Bits + 7) / 8;

    /// <summary>libtorch's name of the type; null if tensors of it cannot be loaded.</summary>
    public torch.ScalarType? ScalarType { get; }

    /// <summary>The type in host memory and on the wire; null if it has no counterpart there.</summary>
    public TensorDataType? HostType { get; }

    /// <summary>Whether the type can be loaded and is F64, F32, F16 or BF16: those, and only those, are converted into each other.</summary>
    public bool IsFloatingPoint => ScalarType is { } type && IsFloat(type);

    /// <summary>The codes of all types, those that can be loaded first.</summary>
    public static IEnumerable<string> Codes => Known.Keys;

    /// <summary>Finds a type by its code.</summary>
    /// <param name="code">The code, in upper case.</param>
    /// <returns>The type; null if there is none of that code.</returns>
    public static StoredDataType? Find(string code) => Known.GetValueOrDefault(code);

    /// <summary>The stored counterpart of a type in host memory.</summary>
    /// <param name="type">The type.</param>
    /// <returns>The stored type.</returns>
    public static StoredDataType Of(TensorDataType type) => Known.Values.First(known => known.HostType == type);

    /// <summary>The type under which elements of a libtorch type are stored.</summary>
    /// <param name="type">The type in libtorch.</param>
    /// <exception cref="ArgumentException">No file here holds elements of that type.</exception>
    public static StoredDataType Of(torch.ScalarType type) => Known.Values.FirstOrDefault(known => known.ScalarType == type)
        ?? throw new ArgumentException($"Elements of type {type} are not stored.", nameof(type));

    /// <summary>The code.</summary>
    /// <returns>Text such as <c>F32</c>.</returns>
    public override string ToString() => Code;

    /// <summary>Whether weights may be wanted in this type: Float64, Float32, Float16 or BFloat16.</summary>
    internal static bool IsFloat(torch.ScalarType type) =>
        type is torch.ScalarType.Float64 or torch.ScalarType.Float32 or torch.ScalarType.Float16 or torch.ScalarType.BFloat16;
}
