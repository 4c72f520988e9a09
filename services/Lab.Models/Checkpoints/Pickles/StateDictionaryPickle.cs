using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using Lab.Tensors;

namespace Lab.Models.Checkpoints.Pickles;

/// <summary>
/// Writes the pickle of a module's state dictionary, opcode by opcode as Python's pickler writes torch's (protocol 2): an OrderedDict of
/// tensors over numbered storages, with the modules' versions for an attribute.
/// </summary>
internal sealed class StateDictionaryPickle
{
    private const int BatchSize = 1000;

    private readonly ArrayBufferWriter<byte> _bytes = new();
    private readonly Dictionary<string, int> _memo = new(StringComparer.Ordinal);
    private int _memorised;

    /// <summary>Writes it.</summary>
    /// <param name="tensors">The tensors in order; those of one storage are tied.</param>
    /// <param name="modules">The modules' paths in order, the root ("") first.</param>
    public static byte[] Write(IReadOnlyList<StoredState> tensors, IReadOnlyList<string> modules)
    {
        StateDictionaryPickle pickle = new();
        pickle.PutWith(PickleOpcode.PROTO, [2]);
        pickle.OrderedDictionary();
        pickle.Items(tensors, tensor =>
        {
            pickle.Text(tensor.Name);
            pickle.Tensor(tensor);
        });

        // The attributes of the dictionary: one, "_metadata", with each module's version.
        pickle.Put(PickleOpcode.EMPTY_DICT);
        pickle.Memorise();
        pickle.Text("_metadata");
        pickle.OrderedDictionary();
        pickle.Items(modules, module =>
        {
            pickle.Text(module);
            pickle.Put(PickleOpcode.EMPTY_DICT);
            pickle.Memorise();
            pickle.Text("version");
            pickle.Integer(1);
            pickle.Put(PickleOpcode.SETITEM);
        });
        pickle.Put(PickleOpcode.SETITEM);
        pickle.Put(PickleOpcode.BUILD);
        pickle.Put(PickleOpcode.STOP);
        return pickle._bytes.WrittenSpan.ToArray();
    }

    private void Tensor(StoredState tensor)
    {
        Global("torch._utils", "_rebuild_tensor_v2");
        Put(PickleOpcode.MARK);
        Put(PickleOpcode.MARK);
        Text("storage");
        Global("torch", StorageOf(tensor.Type));
        Text(tensor.Storage);
        Text("cpu");
        Integer(tensor.Shape.Aggregate(1L, (product, size) => product * size));
        Put(PickleOpcode.TUPLE);
        Memorise();
        Put(PickleOpcode.BINPERSID);
        Integer(0);
        Tuple(tensor.Shape);
        Tuple(Strides(tensor.Shape));
        Put(PickleOpcode.NEWFALSE);
        OrderedDictionary();
        Put(PickleOpcode.TUPLE);
        Memorise();
        Put(PickleOpcode.REDUCE);
        Memorise();
    }

    private void OrderedDictionary()
    {
        Global("collections", "OrderedDict");
        Put(PickleOpcode.EMPTY_TUPLE);
        Put(PickleOpcode.REDUCE);
        Memorise();
    }

    /// <summary>Items of a dictionary in batches, as the pickler forms them: a batch of one needs no mark.</summary>
    private void Items<T>(IReadOnlyList<T> items, Action<T> write)
    {
        foreach (T[] batch in items.Chunk(BatchSize))
        {
            if (batch.Length > 1) Put(PickleOpcode.MARK);
            foreach (T item in batch) write(item);
            Put(batch.Length > 1 ? PickleOpcode.SETITEMS : PickleOpcode.SETITEM);
        }
    }

    private void Tuple(long[] values)
    {
        if (values.Length == 0)
        {
            Put(PickleOpcode.EMPTY_TUPLE);
            return;
        }

        if (values.Length > 3) Put(PickleOpcode.MARK);
        foreach (long value in values) Integer(value);
        Put(values.Length switch
        {
            1 => PickleOpcode.TUPLE1,
            2 => PickleOpcode.TUPLE2,
            3 => PickleOpcode.TUPLE3,
            _ => PickleOpcode.TUPLE,
        });
        Memorise();
    }

    private void Integer(long value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, value);
        if (value is >= 0 and <= byte.MaxValue) PutWith(PickleOpcode.BININT1, bytes[..1]);
        else if (value is >= 0 and <= ushort.MaxValue) PutWith(PickleOpcode.BININT2, bytes[..2]);
        else if (value is >= int.MinValue and <= int.MaxValue) PutWith(PickleOpcode.BININT, bytes[..4]);
        else
        {
            // Two's complement in as few bytes as keep the sign.
            int count = 5;
            while (count < sizeof(long) && value >> ((8 * count) - 1) is not (0 or -1)) count++;
            PutWith(PickleOpcode.LONG1, [(byte)count, .. bytes[..count]]);
        }
    }

    private void Text(string text)
    {
        if (Recall($"'{text}")) return;
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        PutWith(PickleOpcode.BINUNICODE, [.. BitConverter.GetBytes(bytes.Length), .. bytes]);
        MemoriseAs($"'{text}");
    }

    private void Global(string module, string name)
    {
        if (Recall($"{module}.{name}")) return;
        PutWith(PickleOpcode.GLOBAL, Encoding.UTF8.GetBytes($"{module}\n{name}\n"));
        MemoriseAs($"{module}.{name}");
    }

    private bool Recall(string key)
    {
        if (!_memo.TryGetValue(key, out int index)) return false;
        PutIndex(index, PickleOpcode.BINGET, PickleOpcode.LONG_BINGET);
        return true;
    }

    private void MemoriseAs(string key)
    {
        _memo.Add(key, _memorised);
        Memorise();
    }

    private void Memorise() => PutIndex(_memorised++, PickleOpcode.BINPUT, PickleOpcode.LONG_BINPUT);

    private void PutIndex(int index, PickleOpcode small, PickleOpcode large)
    {
        if (index <= byte.MaxValue) PutWith(small, [(byte)index]);
        else PutWith(large, BitConverter.GetBytes(index));
    }

    private void PutWith(PickleOpcode opcode, ReadOnlySpan<byte> bytes)
    {
        Put(opcode);
        _bytes.Write(bytes);
    }

    private void Put(PickleOpcode opcode) => _bytes.Write([(byte)opcode]);

    private static long[] Strides(long[] shape)
    {
        long[] strides = new long[shape.Length];
        long stride = 1;
        for (int i = shape.Length - 1; i >= 0; i--)
        {
            strides[i] = stride;
            stride *= Math.Max(1, shape[i]);
        }

        return strides;
    }

    private static string StorageOf(StoredDataType type) => type.Code switch
    {
        "F32" => "FloatStorage",
        "F16" => "HalfStorage",
        "BF16" => "BFloat16Storage",
        "F64" => "DoubleStorage",
        "I64" => "LongStorage",
        "I32" => "IntStorage",
        "I16" => "ShortStorage",
        "I8" => "CharStorage",
        "U8" => "ByteStorage",
        _ => throw new NotSupportedException($"A .pt file of type {type.Code} is not written."),
    };
}
