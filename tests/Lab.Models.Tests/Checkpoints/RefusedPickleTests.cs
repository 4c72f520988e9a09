using Lab.Models.Checkpoints;
using Lab.Testing;

namespace Lab.Models.Tests.Checkpoints;

/// <summary>Pickles and zips that must not be believed.</summary>
public sealed class RefusedPickleTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    /// <summary>Each would run code in Python. What refuses it is named, with the byte in the pickle that it stands at.</summary>
    public static TheoryData<byte[], string> Code => new()
    {
        { Latin("\u0080\u0002cposix\nsystem\nX\u0002\0\0\0id\u0085R."), "byte 2: GLOBAL refers to 'posix.system'" },
        { Latin("\u0080\u0002cos\nsystem\nX\u0002\0\0\0id\u0085R."), "byte 2: GLOBAL refers to 'os.system'" },
        { Latin("\u0080\u0002c__builtin__\neval\nX\u0003\0\0\u00001+1\u0085R."), "byte 2: GLOBAL refers to '__builtin__.eval'" },
        { Latin("\u0080\u0002cbuiltins\nexec\n."), "byte 2: GLOBAL refers to 'builtins.exec'" },
        { Latin("\u0080\u0002cbuiltins\ngetattr\n."), "byte 2: GLOBAL refers to 'builtins.getattr'" },
        { Latin("\u0080\u0002cnumpy.core.multiarray\n_reconstruct\n."), "'numpy.core.multiarray._reconstruct'" },
        { Latin("\u0080\u0002ctorch.hub\nload\n."), "byte 2: GLOBAL refers to 'torch.hub.load'" },
        { Latin("\u0080\u0002ctorch._utils\n_rebuild_tensor_v2.__globals__\n."), "'torch._utils._rebuild_tensor_v2.__globals__'" },
        { Latin("\u0080\u0002ccollections\nOrderedDict.__init__.__globals__\n."), "'collections.OrderedDict.__init__.__globals__'" },
        { Latin("\u0080\u0004\u008c\u0005posix\u008c\u0006system\u0093\u008c\u0002id\u0085R."), "byte 17: STACK_GLOBAL refers to 'posix.system'" },
        { Latin("\u0080\u0004X\u0002\0\0\0os\u0094\u008c\u0006system\u0094\u0093."), "byte 19: STACK_GLOBAL refers to 'os.system'" },
        { Latin("\u0080\u0004K\u0001\u008c\u0006system\u0093."), "byte 12: STACK_GLOBAL needs two strings" },
        { Latin("\u0080\u0002(X\u0002\0\0\0idiposix\nsystem\n."), "byte 10: INST is refused" },
        { Latin("\u0080\u0002(cposix\nsystem\nX\u0002\0\0\0ido."), "byte 3: GLOBAL refers to 'posix.system'" },
        { Latin("\u0080\u0002(ccollections\nOrderedDict\no."), "byte 28: OBJ is refused" },
        { Latin("\u0080\u0002ccollections\nOrderedDict\n)\u0081."), "byte 28: NEWOBJ is refused" },
        { Latin("\u0080\u0004ccollections\nOrderedDict\n)}\u0092."), "byte 29: NEWOBJ_EX is refused" },
        { Latin("\u0080\u0002\u0082\u0001."), "byte 2: EXT1 is refused" },
        { Latin("\u0080\u0002\u0083\u0001\u0001."), "byte 2: EXT2 is refused" },
        { Latin("\u0080\u0002\u0084\u0001\u0001\u0001\u0001."), "byte 2: EXT4 is refused" },
        { Latin("\u0080\u0002}}b."), "byte 4: BUILD gives a state, which is refused but for the attributes of an OrderedDict" },
        { Latin("\u0080\u0002]}b."), "byte 4: BUILD gives a state" },
        { Latin("\u0080\u0002ctorch\nFloatStorage\n}b."), "byte 23: BUILD gives a state" },
        { Latin("\u0080\u0002ccollections\nOrderedDict\n)RX\u0001\0\0\0ab."), "byte 35: BUILD gives a state" },
        { Latin("\u0080\u0002ctorch\nFloatStorage\n)R."), "byte 23: REDUCE calls torch.FloatStorage with 0 arguments, which is refused" },
        { Latin("\u0080\u0002X\u0006\0\0\0system)R."), "REDUCE does not call a global with a tuple" },
        { Latin("\u0080\u0002ccollections\nOrderedDict\n]\u0085R."), "REDUCE calls collections.OrderedDict with 1 arguments" },
        { Latin("\u0080\u0002P0\n."), "byte 2: PERSID is refused" },
        { Latin("\u0080\u0002I1\n."), "byte 2: INT is refused" },
        { Latin("\u0080\u0002S'a'\n."), "byte 2: STRING is refused" },
        { Latin("\u0080\u0005\u0097."), "byte 2: NEXT_BUFFER is refused" },
        { Latin("\u0080\u0002\u00ff."), "byte 2: the byte 0xff is refused" },
        { Latin("cposix\nsystem\n."), "byte 0: GLOBAL stands where PROTO must" },
    };

    public static TheoryData<byte[], string> Malformed => new()
    {
        { [], "data.pkl ends at byte 0 without STOP" },
        { Latin("\u0080"), "byte 0: PROTO needs 1 more bytes, but only 0 are left" },
        { Latin("\u0080\u0001."), "states protocol 1; 2 to 5 are read" },
        { Latin("\u0080\u0006."), "states protocol 6" },
        { Latin("\u0080\u0002"), "data.pkl ends at byte 2 without STOP" },
        { Latin("\u0080\u0002."), "byte 2: STOP does not find exactly one value" },
        { Latin("\u0080\u0002NN."), "byte 4: STOP does not find exactly one value" },
        { Latin("\u0080\u0002N(."), "byte 4: STOP does not find exactly one value" },
        { Latin("\u0080\u0002}.}"), "byte 3: STOP is followed by 1 bytes" },
        { Latin("\u0080\u0002N."), "data.pkl is not a dictionary" },
        { Latin("\u0080\u0002}."), "data.pkl is a dictionary without any tensor" },
        { Latin("\u0080\u0002}h\u0000."), "byte 3: BINGET recalls the number 0" },
        { Latin("\u0080\u0002}q\u0003h\u0002."), "BINGET recalls the number 2" },
        { Latin("\u0080\u0002}r\u00ff\u00ff\u00ff\u00ff."), "byte 3: LONG_BINPUT memorises under the number 4294967295" },
        { Latin("\u0080\u0002}j\u00ff\u00ff\u00ff\u00ff."), "byte 3: LONG_BINGET recalls the number 4294967295" },
        { Latin("\u0080\u0002q\u0000."), "byte 2: BINPUT needs a value that is not on the stack" },
        { Latin("\u0080\u0002t."), "byte 2: TUPLE needs a mark" },
        { Latin("\u0080\u0002N(\u0085."), "byte 4: TUPLE1 needs a value that is not on the stack" },
        { Latin("\u0080\u0002]}a0."), "byte 5: POP is refused" },
        { Latin("\u0080\u0002}Na."), "byte 4: APPEND appends to something else than a list" },
        { Latin("\u0080\u0002]NNs."), "byte 5: SETITEM sets items of something else" },
        { Latin("\u0080\u0002}K\u0001Ns."), "byte 6: SETITEM has a key that is not a string" },
        { Latin("\u0080\u0002}(X\u0001\0\0\0aNX\u0001\0\0\0aNu."), "byte 18: SETITEMS sets the key 'a' a second time" },
        { Latin("\u0080\u0002}(Nu."), "byte 5: SETITEMS has a key without a value" },
        { Latin("\u0080\u0002X\u00ff\u00ff\u00ff\u00ff."), "byte 2: BINUNICODE holds a string of 4294967295 bytes; at most 4096" },
        { Latin("\u0080\u0004\u008d\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff."), "byte 2: BINUNICODE8 holds a string of 18446744073709551615 bytes" },
        { Latin("\u0080\u0002X\u0005\0\0\0ab"), "byte 2: BINUNICODE needs 5 more bytes, but only 2 are left" },
        { Latin("\u0080\u0002X\u0001\0\0\0\u00ff."), "byte 2: BINUNICODE holds text that is not UTF-8" },
        { Latin("\u0080\u0002\u008a\u0009123456789."), "byte 2: LONG1 holds an integer of 9 bytes" },
        { Latin("\u0080\u0002\u008b\u00ff\u00ff\u00ff\u00ff."), "byte 2: LONG4 holds an integer of -1 bytes" },
        { Latin("\u0080\u0002c" + new string('a', 300) + "\nb\n."), "byte 2: GLOBAL holds a line that does not end within 256 bytes" },
        { Latin("\u0080\u0004\u0095\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff."), "byte 2: FRAME announces 18446744073709551615 bytes" },
        { Latin("\u0080\u0002" + new string('(', 300)), "byte 258: MARK puts more than 256 marks on the stack" },
        { Latin("\u0080\u0002" + new string('N', 300_000)), "byte 262146: NONE puts more than 262144 values on the stack" },
        { TorchFile.Pickle([(byte)'N', (byte)'Q']), "byte 3: BINPERSID does not refer to a storage" },
        { TorchFile.Pickle(TorchFile.Storage("FloatStorage", "1", 6)), "BINPERSID refers to storage '1', which is not in the file" },
        { TorchFile.Pickle(TorchFile.Storage("FloatStorage", "../version", 6)), "refers to storage '../version', which is not in the file" },
        { TorchFile.Pickle(TorchFile.Storage("FloatStorage", "0", 7)), "refers to storage '0' as 7 elements of type F32, but it has 24 bytes" },
        { TorchFile.Pickle(TorchFile.Storage("FloatStorage", "0", -6)), "refers to storage '0' as -6 elements" },
        { TorchFile.Pickle(TorchFile.Storage("DoubleStorage", "0", long.MaxValue)), "refers to storage '0' as 9223372036854775807 elements" },
        { TorchFile.Pickle(TorchFile.Storage("FloatStorage", "0", 6), TorchFile.Storage("IntStorage", "0", 6)), "as 6 elements of type I32, after 6 of F32" },
        { Tensor(0, [7], [1]), "shape [7] and strides [1] from element 0, which leaves its storage of 6 elements" },
        { Tensor(1, [2, 3], [3, 1]), "from element 1, which leaves its storage" },
        { Tensor(0, [2, 2], [5, 1]), "strides [5, 1] from element 0, which leaves its storage" },
        { Tensor(7, [0], [1]), "from element 7, which leaves its storage" },
        { Tensor(6, [], []), "from element 6, which leaves its storage" },
        { Tensor(-1, [2], [1]), "from element -1, which leaves its storage" },
        { Tensor(long.MinValue, [2], [1]), "from element -9223372036854775808, which leaves its storage" },
        { Tensor(0, [2], [-1]), "negative strides [-1]" },
        { Tensor(0, [-2], [1]), "shape has the negative dimension -2" },
        { Tensor(0, [2], []), "of 1 dimensions with 0 strides" },
        { Tensor(0, [3, 3], [1, 1]), "whose elements overlap" },
        { Tensor(0, [1L << 40], [0]), "whose elements overlap" },
        { Tensor(0, [1L << 40, 1L << 40], [0, 0]), "more bytes than 64 bits" },
        { Tensor(0, [2, 2], [long.MaxValue, long.MaxValue]), "which leaves its storage" },
        { Tensor(0, [1, 1, 1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1, 1, 1]), "shape has 9 numbers; at most 8" },
        { TorchFile.Pickle(TorchFile.Tensor(TorchFile.Storage("FloatStorage", "0", 6), 0, [1], [1], [(byte)'}', .. TorchFile.Text("conj"), 0x88, (byte)'s'])), "REDUCE does not rebuild a tensor from" },
        { TorchFile.Pickle(TorchFile.Global("torch._utils", "_rebuild_tensor_v2"), [(byte)')', (byte)'R']), "REDUCE does not rebuild a tensor from" },
        { TorchFile.Pickle(TorchFile.Global("torch._utils", "_rebuild_parameter"), [(byte)')', (byte)'R']), "REDUCE does not rebuild a parameter from" },
        { TorchFile.StateDictionary((new string('n', 2000), TorchFile.Tensor(TorchFile.Storage("FloatStorage", "0", 6), 0, [6], [1]))), "has 2000 characters; at most 1024" },
    };

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Code))]
    [MemberData(nameof(Malformed))]
    public void Open_OfAPickleThatIsRefused_NamesFileByteAndWhat(byte[] pickle, string reason)
    {
        File.WriteAllBytes(_folder["x.pt"], TorchFile.Zip(TorchFile.Files(pickle, new byte[24])));

        string message = Should.Throw<InvalidDataException>(() => Checkpoint.OpenPickle(_folder["x.pt"])).Message;

        message.ShouldStartWith(_folder["x.pt"]);
        message.ShouldContain(reason);
    }

    private static byte[] Tensor(long offset, long[] shape, long[] strides) => TorchFile.StateDictionary(("x", TorchFile.Tensor(TorchFile.Storage("FloatStorage", "0", 6), offset, shape, strides)));

    private static byte[] Latin(string text) => System.Text.Encoding.Latin1.GetBytes(text);
}
