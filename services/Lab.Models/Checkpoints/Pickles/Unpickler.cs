namespace Lab.Models.Checkpoints.Pickles;

/// <summary>
/// Reads the pickle of a PyTorch file: a machine with a stack that knows containers, plain values and tensors on storages, and
/// nothing else. Every other opcode and every other global is refused by name before anything of it is looked at: no code of the
/// file's choosing runs. Values are never walked, so nesting costs nothing and cycles do no harm.
/// </summary>
internal sealed class Unpickler
{
    /// <summary>The largest pickle that is read, in bytes; a tensor takes about 150. Reading takes at most 128 times its bytes of memory.</summary>
    public const int MaxBytes = 4 << 20;

    private readonly PickleCursor _cursor;
    private readonly PickleStack _stack;
    private readonly TensorRebuilder _rebuilder;

    private Unpickler(byte[] pickle, string path, IPickleStorages storages)
    {
        _cursor = new PickleCursor(pickle, path);
        _stack = new PickleStack(_cursor);
        _rebuilder = new TensorRebuilder(_cursor, storages);
    }

    /// <summary>Reads a pickle.</summary>
    /// <param name="pickle">Its bytes: one value.</param>
    /// <param name="path">The file's path, for messages.</param>
    /// <param name="storages">Finds storages.</param>
    /// <returns>A dictionary, tensor, tuple, list, string, long, double, bool or null.</returns>
    /// <exception cref="InvalidDataException">It is malformed or refused. Names path, byte, and opcode or global.</exception>
    public static object? Read(byte[] pickle, string path, IPickleStorages storages) => new Unpickler(pickle, path, storages).Run();

    private object? Run()
    {
        if (_cursor.ReadOpcode() != PickleOpcode.PROTO) throw _cursor.Failure($"stands where {PickleOpcode.PROTO} must");
        int protocol = _cursor.ReadByte();
        if (protocol is < 2 or > 5) throw _cursor.Failure($"states protocol {protocol}; 2 to 5 are read");

        while (true)
        {
            PickleOpcode opcode = _cursor.ReadOpcode();
            if (opcode == PickleOpcode.STOP) break;
            if (!Push(opcode) && !Change(opcode)) throw _cursor.Failure("is refused: this reader builds tensors and containers, and nothing else");
        }

        if (!_stack.IsLast) throw _cursor.Failure("does not find exactly one value on the stack");
        object? value = _stack.Pop();
        if (_cursor.Left > 0) throw _cursor.Failure($"is followed by {_cursor.Left} bytes");
        return value;
    }

    /// <summary>Does opcodes that put one value on the stack.</summary>
    private bool Push(PickleOpcode opcode)
    {
        switch (opcode)
        {
            case PickleOpcode.NONE: _stack.Push(null); break;
            case PickleOpcode.NEWTRUE: _stack.Push(true); break;
            case PickleOpcode.NEWFALSE: _stack.Push(false); break;
            case PickleOpcode.BININT: _stack.Push((long)_cursor.ReadInt32()); break;
            case PickleOpcode.BININT1: _stack.Push((long)_cursor.ReadByte()); break;
            case PickleOpcode.BININT2: _stack.Push((long)_cursor.ReadUInt16()); break;
            case PickleOpcode.LONG1: _stack.Push(_cursor.ReadInteger(_cursor.ReadByte())); break;
            case PickleOpcode.LONG4: _stack.Push(_cursor.ReadInteger(_cursor.ReadInt32())); break;
            case PickleOpcode.BINFLOAT: _stack.Push(_cursor.ReadDouble()); break;
            case PickleOpcode.SHORT_BINUNICODE: _stack.Push(_cursor.ReadString(_cursor.ReadByte())); break;
            case PickleOpcode.BINUNICODE: _stack.Push(_cursor.ReadString(_cursor.ReadUInt32())); break;
            case PickleOpcode.BINUNICODE8: _stack.Push(_cursor.ReadString(_cursor.ReadUInt64())); break;
            case PickleOpcode.EMPTY_TUPLE: _stack.Push(PickleTuple.Empty); break;
            case PickleOpcode.EMPTY_LIST: _stack.Push(new List<object?>()); break;
            case PickleOpcode.EMPTY_DICT: _stack.Push(new PickleDictionary(isOrdered: false)); break;
            case PickleOpcode.TUPLE: _stack.Push(new PickleTuple(_stack.PopToMark())); break;
            case PickleOpcode.TUPLE1: _stack.Push(new PickleTuple(_stack.PopMany(1))); break;
            case PickleOpcode.TUPLE2: _stack.Push(new PickleTuple(_stack.PopMany(2))); break;
            case PickleOpcode.TUPLE3: _stack.Push(new PickleTuple(_stack.PopMany(3))); break;
            case PickleOpcode.BINGET: _stack.Push(_stack.Recall(_cursor.ReadByte())); break;
            case PickleOpcode.LONG_BINGET: _stack.Push(_stack.Recall(_cursor.ReadUInt32())); break;
            case PickleOpcode.GLOBAL: _stack.Push(Global(_cursor.ReadLine(), _cursor.ReadLine())); break;
            case PickleOpcode.STACK_GLOBAL: _stack.Push(Global(_stack.PopMany(2))); break;
            case PickleOpcode.BINPERSID: _stack.Push(_rebuilder.Storage(_stack.Pop())); break;
            case PickleOpcode.REDUCE: _stack.Push(Reduce(_stack.PopMany(2))); break;
            default: return false;
        }

        return true;
    }

    /// <summary>Does opcodes that change what is on the stack, or nothing.</summary>
    private bool Change(PickleOpcode opcode)
    {
        switch (opcode)
        {
            case PickleOpcode.MARK: _stack.Mark(); break;
            case PickleOpcode.BINPUT: _stack.Memorise(_cursor.ReadByte()); break;
            case PickleOpcode.LONG_BINPUT: _stack.Memorise(_cursor.ReadUInt32()); break;
            case PickleOpcode.MEMOIZE: _stack.MemoriseNext(); break;
            case PickleOpcode.APPEND: Append(_stack.PopMany(1)); break;
            case PickleOpcode.APPENDS: Append(_stack.PopToMark()); break;
            case PickleOpcode.SETITEM: SetItems(_stack.PopMany(2)); break;
            case PickleOpcode.SETITEMS: SetItems(_stack.PopToMark()); break;
            case PickleOpcode.BUILD: Build(_stack.Pop()); break;
            case PickleOpcode.FRAME: SkipFrame(_cursor.ReadUInt64()); break;
            default: return false;
        }

        return true;
    }

    private PickleGlobal Global(object?[] names) =>
        names is [string module, string name] ? Global(module, name) : throw _cursor.Failure("needs two strings");

    private PickleGlobal Global(string module, string name) =>
        PickleGlobal.Find(module, name) ?? throw _cursor.Failure($"refers to '{Printable(module)}.{Printable(name)}', which is refused: this reader builds tensors and containers, and nothing else");

    private object Reduce(object?[] call)
    {
        if (call is not [PickleGlobal global, PickleTuple arguments]) throw _cursor.Failure("does not call a global with a tuple");
        return global.Makes switch
        {
            PickleGlobal.Role.OrderedDictionary when arguments.Items.Length == 0 => new PickleDictionary(isOrdered: true),
            PickleGlobal.Role.Tensor => _rebuilder.Tensor(arguments.Items),
            PickleGlobal.Role.Parameter => _rebuilder.Parameter(arguments.Items),
            _ => throw _cursor.Failure($"calls {global.Name} with {arguments.Items.Length} arguments, which is refused"),
        };
    }

    private void Append(object?[] items)
    {
        if (_stack.Peek() is not List<object?> list) throw _cursor.Failure("appends to something else than a list");
        list.AddRange(items);
    }

    private void SetItems(object?[] items)
    {
        if (_stack.Peek() is not PickleDictionary dictionary) throw _cursor.Failure("sets items of something else than a dictionary");
        if (items.Length % 2 != 0) throw _cursor.Failure("has a key without a value");
        for (int i = 0; i < items.Length; i += 2)
        {
            // Only strings: they hash with a secret of the process, so that no file can make them collide.
            if (items[i] is not string key) throw _cursor.Failure("has a key that is not a string");
            if (!dictionary.TryAdd(key, items[i + 1])) throw _cursor.Failure($"sets the key '{Printable(key)}' a second time");
        }
    }

    /// <summary>A state dictionary carries the versions of its modules as an attribute, which means nothing here. Nothing else has a state.</summary>
    private void Build(object? state)
    {
        if (_stack.Peek() is not PickleDictionary { IsOrdered: true } || state is not PickleDictionary { IsOrdered: false })
            throw _cursor.Failure("gives a state, which is refused but for the attributes of an OrderedDict");
    }

    private void SkipFrame(ulong length)
    {
        if (length > (ulong)_cursor.Left) throw _cursor.Failure($"announces {length} bytes, but only {_cursor.Left} are left");
    }

    private static string Printable(string text)
    {
        string clipped = text.Length <= 100 ? text : text[..100] + "...";
        return string.Concat(clipped.Select(character => char.IsControl(character) ? '?' : character));
    }
}
