using Lab.Tensors;

namespace Lab.Models.Checkpoints.Pickles;

/// <summary>A name of Python's that pickles of tensors refer to. There are no others: nothing that is not one of these is ever called or made.</summary>
internal sealed class PickleGlobal(string name, PickleGlobal.Role role, StoredDataType? storage = null)
{
    private static readonly Dictionary<string, PickleGlobal> Known = new PickleGlobal[]
    {
        new("collections.OrderedDict", Role.OrderedDictionary),
        new("torch._utils._rebuild_tensor_v2", Role.Tensor),
        new("torch._utils._rebuild_parameter", Role.Parameter),
        Storage("FloatStorage", "F32"),
        Storage("HalfStorage", "F16"),
        Storage("BFloat16Storage", "BF16"),
        Storage("DoubleStorage", "F64"),
        Storage("LongStorage", "I64"),
        Storage("IntStorage", "I32"),
        Storage("ShortStorage", "I16"),
        Storage("CharStorage", "I8"),
        Storage("ByteStorage", "U8"),
        Storage("BoolStorage", "BOOL"),
    }.ToDictionary(global => global.Name, StringComparer.Ordinal);

    internal enum Role
    {
        OrderedDictionary,
        Tensor,
        Parameter,
        Storage,
    }

    /// <summary>Module and name, with a dot between.</summary>
    public string Name { get; } = name;

    /// <summary>What it makes.</summary>
    public Role Makes { get; } = role;

    /// <summary>The element type of a storage; null for all else.</summary>
    public StoredDataType? StorageType { get; } = storage;

    /// <summary>Finds a name; null for every name that is not known.</summary>
    public static PickleGlobal? Find(string module, string name) => Known.GetValueOrDefault($"{module}.{name}");

    private static PickleGlobal Storage(string name, string code) => new($"torch.{name}", Role.Storage, StoredDataType.Find(code));
}

/// <summary>A Python tuple.</summary>
internal sealed class PickleTuple(object?[] items)
{
    public static readonly PickleTuple Empty = new([]);

    public object?[] Items { get; } = items;
}

/// <summary>A Python dict or OrderedDict with strings for keys. It takes memory when it gets its first item.</summary>
internal sealed class PickleDictionary(bool isOrdered)
{
    public bool IsOrdered { get; } = isOrdered;

    public Dictionary<string, object?>? Items { get; private set; }

    /// <summary>False if the key is taken.</summary>
    public bool TryAdd(string key, object? value) => (Items ??= new Dictionary<string, object?>(StringComparer.Ordinal)).TryAdd(key, value);
}

/// <summary>A storage: the elements of one or several tensors.</summary>
/// <param name="Type">The type of its elements.</param>
/// <param name="Offset">Where they begin, in bytes from the start of the file.</param>
/// <param name="Count">How many they are.</param>
internal sealed record PickleStorage(StoredDataType Type, long Offset, long Count);

/// <summary>A tensor: a view on a storage, proven to lie within it.</summary>
internal sealed record PickleTensor(StoredDataType Type, long Offset, long[] Shape, long[]? Strides, long Count);
