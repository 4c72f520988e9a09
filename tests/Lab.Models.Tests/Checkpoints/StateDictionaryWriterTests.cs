using System.Security.Cryptography;
using System.Text;
using Lab.Models.Checkpoints;
using Lab.Models.Checkpoints.Pickles;
using Lab.Testing;
using TorchSharp;
using static TorchSharp.torch;

namespace Lab.Models.Tests.Checkpoints;

public sealed class StateDictionaryWriterTests : IDisposable
{
    /// <summary>Python's own zip reader and unpickler, with stand-ins for what the pickle names of torch's.</summary>
    private const string Script = """
        import hashlib, io, pickle, pickletools, sys, zipfile

        class Storages(pickle.Unpickler):
            def find_class(self, module, name):
                if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
                    return lambda storage, offset, shape, strides, grad, hooks: (storage, offset, shape, strides, grad, dict(hooks))
                if module == "torch" and name.endswith("Storage"):
                    return name
                if (module, name) == ("collections", "OrderedDict"):
                    return super().find_class(module, name)
                raise ValueError(module + "." + name)

            def persistent_load(self, pid):
                return pid

        path = sys.stdin.read()
        with zipfile.ZipFile(path) as z:
            assert z.testzip() is None
            raw = open(path, "rb").read()
            for info in z.infolist():
                at = info.header_offset
                start = at + 30 + int.from_bytes(raw[at + 26:at + 28], "little") + int.from_bytes(raw[at + 28:at + 30], "little")
                assert start % 64 == 0 and info.compress_type == 0, info
            data = z.read("m/data.pkl")
            pickletools.dis(data, io.StringIO())
            assert z.read("m/version") == b"3\n"
            state = Storages(io.BytesIO(data)).load()
            for name, ((kind, type, key, place, count), offset, shape, strides, grad, hooks) in state.items():
                elements = z.read("m/data/" + key)
                print(name, kind, type, place, count, offset, list(shape), list(strides), grad, hooks, hashlib.sha256(elements).hexdigest())
            print(list(state._metadata.items()))
        """;

    private readonly TemporaryFolder _folder = new();
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose()
    {
        _scope.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task Write_AnyTensors_IsReadByPython()
    {
        NamedParameter[] tensors = Tensors();
        string path = _folder["m.pt"];
        StateDictionaryWriter.Write(path, tensors, ["", "a", "a.b"]);

        string? read = await PythonInterpreter.RunAsync(Script, path, TestContext.Current.CancellationToken);

        if (read is null && PythonInterpreter.MayBeMissing) Assert.Skip("There is no Python 3.");
        IEnumerable<string> lines = tensors.Select(tensor => string.Join(' ',
            tensor.Name, "storage", StorageOf(tensor.Value.dtype), "cpu", tensor.Value.numel(), "0", List(tensor.Value.shape), List(tensor.Value.contiguous().stride()), "False", "{}",
            Convert.ToHexStringLower(SHA256.HashData(tensor.Value.contiguous().bytes))));
        read.ShouldBe(string.Join('\n', [.. lines, "[('', {'version': 1}), ('a', {'version': 1}), ('a.b', {'version': 1})]", ""]));

        static string List(long[] values) => $"[{string.Join(", ", values)}]";
    }

    /// <summary>With the smallest limits, every length and offset is written in 64 bits.</summary>
    [Theory]
    [InlineData(uint.MaxValue)]
    [InlineData(1000)]
    [InlineData(1)]
    public async Task Write_AnyTensors_AreReadBackWithTheirTies(long limit)
    {
        NamedParameter[] tensors = Tensors();
        string path = _folder["m.pt"];
        StateDictionaryWriter.Write(path, tensors, [""], stream => new StoredZipWriter(stream, limit));

        using ICheckpoint checkpoint = Checkpoint.OpenPickle(path);

        checkpoint.Tensors.Count.ShouldBe(tensors.Length);
        foreach (NamedParameter tensor in tensors)
        {
            CheckpointTensor stored = checkpoint.Tensors[tensor.Name];
            stored.Shape.ShouldBe(tensor.Value.shape);
            stored.Offset.ShouldBe(checkpoint.Tensors[tensors.First(other => ReferenceEquals(other.Value, tensor.Value)).Name].Offset);
            using Tensor loaded = checkpoint.Load(tensor.Name);
            loaded.HasSameElements(tensor.Value.contiguous()).ShouldBeTrue(tensor.Name);
        }

        string? read = await PythonInterpreter.RunAsync(Script, path, TestContext.Current.CancellationToken);
        if (read is not null) read.ShouldContain("float64");
    }

    [Fact]
    public void Write_ManyTensors_AreReadBack()
    {
        // More than a batch of the pickler, and a last batch of one.
        Tensor tensor = ones(2);
        string path = _folder["m.pt"];
        StateDictionaryWriter.Write(path, [.. Enumerable.Range(0, 2001).Select(i => new NamedParameter($"t{i}", tensor))], [""]);

        using ICheckpoint checkpoint = Checkpoint.OpenPickle(path);
        checkpoint.Tensors.Count.ShouldBe(2001);
    }

    [Fact]
    public void Write_OneNameTwice_IsRefusedByName()
    {
        Should.Throw<ArgumentException>(() => StateDictionaryWriter.Write(_folder["m.pt"], [new("a", ones(1)), new("a", ones(1))], [""])).Message.ShouldContain("'a'");
        Directory.GetFiles(_folder.Path).ShouldBeEmpty();
    }

    [Fact]
    public void Write_Again_GivesTheSameBytes()
    {
        NamedParameter[] tensors = Tensors();
        StateDictionaryWriter.Write(_folder["m.pt"], tensors, [""]);
        byte[] first = File.ReadAllBytes(_folder["m.pt"]);
        StateDictionaryWriter.Write(_folder["m.pt"], tensors, [""]);
        File.ReadAllBytes(_folder["m.pt"]).AsSpan().SequenceEqual(first).ShouldBeTrue();
    }

    /// <summary>"123456789" has the check value that every table of checksums states.</summary>
    [Theory]
    [InlineData("123456789", 0xCBF43926)]
    [InlineData("", 0)]
    [InlineData("The quick brown fox jumps over the lazy dog", 0x414FA339)]
    public void Crc32_KnownTexts_HaveTheirChecksums(string text, uint expected)
    {
        byte[] bytes = Encoding.ASCII.GetBytes(text);
        Crc32.Append(0, bytes).ShouldBe(expected);
        Crc32.Append(Crc32.Append(0, bytes.AsSpan(0, bytes.Length / 3)), bytes.AsSpan(bytes.Length / 3)).ShouldBe(expected);
    }

    private static NamedParameter[] Tensors()
    {
        using Generator generator = new(5);
        Tensor tied = randn(3, 70000, generator: generator);
        return
        [
            new("first", tied),
            new("transposed", randn(5, 4, generator: generator).t()),
            new("half", randn(7, generator: generator).to(ScalarType.BFloat16)),
            new("double.float64", randn(2, 3, 4, generator: generator).to(ScalarType.Float64)),
            new("scalar", tensor(2.5f)),
            new("four", randn([2, 1, 3, 2], generator: generator)),
            new("integers", arange(300)),
            new("tied", tied),
            .. Enumerable.Range(0, 40).Select(i => new NamedParameter($"layer.{i}.weight", full(i + 1, (float)i))),
        ];
    }

    private static string StorageOf(ScalarType type) => type switch
    {
        ScalarType.BFloat16 => "BFloat16Storage",
        ScalarType.Float64 => "DoubleStorage",
        ScalarType.Int64 => "LongStorage",
        _ => "FloatStorage",
    };
}
