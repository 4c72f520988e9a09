using Lab.Tensors;

namespace Lab.Models.Checkpoints.Pickles;

/// <summary>Turns the arguments that a pickle gives for storages, tensors and parameters into them, and proves that each lies within what holds it.</summary>
internal sealed class TensorRebuilder(PickleCursor cursor, IPickleStorages storages)
{
    private readonly Dictionary<string, PickleStorage> _storages = new(StringComparer.Ordinal);

    /// <summary>From ('storage', type, key, location, element count).</summary>
    public PickleStorage Storage(object? id)
    {
        if (id is not PickleTuple { Items: ["storage", PickleGlobal { StorageType: { } type }, string key, string, long count] })
            throw cursor.Failure("does not refer to a storage by ('storage', type, key, location, count)");
        if (_storages.TryGetValue(key, out PickleStorage? known))
        {
            return known.Type == type && known.Count == count
                ? known
                : throw cursor.Failure($"refers to storage '{Clip(key)}' as {count} elements of type {type}, after {known.Count} of {known.Type}");
        }

        if (!storages.TryFind(key, out long offset, out long byteCount)) throw cursor.Failure($"refers to storage '{Clip(key)}', which is not in the file");
        if (count < 0 || (Int128)count * type.Bytes != byteCount)
            throw cursor.Failure($"refers to storage '{Clip(key)}' as {count} elements of type {type}, but it has {byteCount} bytes");
        PickleStorage storage = new(type, offset, count);
        _storages.Add(key, storage);
        return storage;
    }

    /// <summary>From (storage, first element, shape, strides, requires gradient, hooks), and in newer files a dictionary of marks, which must be empty.</summary>
    public PickleTensor Tensor(object?[] arguments)
    {
        if (arguments is not [PickleStorage storage, long first, PickleTuple sizes, PickleTuple steps, bool, PickleDictionary or null, .. object?[] marks]
            || marks is not ([] or [null] or [PickleDictionary { Items: null }]))
        {
            throw cursor.Failure("does not rebuild a tensor from (storage, offset, shape, strides, bool, dict)");
        }

        long[] shape = Integers(sizes, "shape");
        long[] strides = Integers(steps, "strides");
        if (!TensorShape.TryCount(shape, storage.Type.Bytes, out long count, out string? error)) throw cursor.Failure($"rebuilds a tensor whose shape {error}");
        if (strides.Length != shape.Length) throw cursor.Failure($"rebuilds a tensor of {shape.Length} dimensions with {strides.Length} strides");
        if (strides.AsSpan().ContainsAnyInRange(long.MinValue, -1)) throw cursor.Failure($"rebuilds a tensor of the negative strides {TensorShape.Format(strides)}");
        CheckBounds(storage, first, shape, strides, count);
        return new PickleTensor(storage.Type, storage.Offset + (first * storage.Type.Bytes), shape, IsRowMajor(shape, strides) ? null : strides, count);
    }

    /// <summary>From (tensor, requires gradient, hooks).</summary>
    public PickleTensor Parameter(object?[] arguments) =>
        arguments is [PickleTensor tensor, bool, PickleDictionary or null] ? tensor : throw cursor.Failure("does not rebuild a parameter from (tensor, bool, dict)");

    private static bool IsRowMajor(long[] shape, long[] strides)
    {
        long expected = 1;
        for (int i = shape.Length - 1; i >= 0; i--)
        {
            if (shape[i] == 0) return true;
            if (shape[i] != 1 && strides[i] != expected) return false;
            expected *= shape[i];
        }

        return true;
    }

    private static string Clip(string text) => text.Length <= 40 ? text : text[..40] + "...";

    private void CheckBounds(PickleStorage storage, long first, long[] shape, long[] strides, long count)
    {
        if (first < 0 || first > storage.Count) throw Outside();
        if (count == 0) return;
        Int128 span = 1;
        for (int i = 0; i < shape.Length && first + span <= storage.Count; i++) span += (Int128)(shape[i] - 1) * strides[i];
        if (first + span > storage.Count) throw Outside();
        // What is loaded is never more than what the file holds.
        if (count > span) throw cursor.Failure($"rebuilds {Text()}, whose elements overlap");

        string Text() => $"a tensor of shape {TensorShape.Format(shape)} and strides {TensorShape.Format(strides)} from element {first}";

        InvalidDataException Outside() => cursor.Failure($"rebuilds {Text()}, which leaves its storage of {storage.Count} elements");
    }

    private long[] Integers(PickleTuple tuple, string what)
    {
        if (tuple.Items.Length > TensorShape.MaxRank) throw cursor.Failure($"rebuilds a tensor whose {what} has {tuple.Items.Length} numbers; at most {TensorShape.MaxRank} are allowed");
        long[] integers = new long[tuple.Items.Length];
        for (int i = 0; i < integers.Length; i++) integers[i] = tuple.Items[i] is long integer ? integer : throw cursor.Failure($"rebuilds a tensor whose {what} holds something else than integers");
        return integers;
    }
}
