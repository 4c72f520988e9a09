using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Lab.Models.Checkpoints;
using Lab.Testing;
using static TorchSharp.torch;

namespace Lab.Models.Tests.Checkpoints;

public sealed class PickleCheckpointTests : IDisposable
{
    private static readonly string Golden = Path.Combine(AppContext.BaseDirectory, "Golden");

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>The digests are of Python's own unpickler: over all tensors by name, name, shape and bytes.</summary>
    [Theory]
    [InlineData("dense-layernorm-tied/final_model.pt", 17, "eb49631e9f9f0fb3")]
    [InlineData("sparse-rms-sink-bigram/final_model.pt", 28, "4ee9cb9797a915bb")]
    [InlineData("training-linear/final_model.pt", 25, "b659ca6829fd7edd")]
    [InlineData("training-linear/initial_model.pt", 25, "810f31b668b2688b")]
    [InlineData("training-weights-only/final_model.pt", 25, "2fe3ec9eed2fbfd5")]
    [InlineData("training-weights-only/initial_model.pt", 25, "ca909a407037a201")]
    public void Open_OfPyTorchsFiles_ReadsWhatPythonReads(string file, int count, string digest)
    {
        using ICheckpoint checkpoint = Checkpoint.OpenPickle(Path.Combine(Golden, file));
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string name in checkpoint.Tensors.Keys.Order(StringComparer.Ordinal))
        {
            using Tensor tensor = checkpoint.Load(name);
            hash.AppendData(Encoding.UTF8.GetBytes($"{name}[{string.Join(", ", tensor.shape)}]"));
            hash.AppendData(tensor.bytes);
        }

        checkpoint.Tensors.Count.ShouldBe(count);
        Convert.ToHexStringLower(hash.GetHashAndReset())[..16].ShouldBe(digest);
    }

    [Fact]
    public void Load_OfTiedTensors_SharesTheirMemory()
    {
        using ICheckpoint checkpoint = Checkpoint.OpenPickle(Path.Combine(Golden, "dense-layernorm-tied", "final_model.pt"));
        CheckpointTensor[] tied = [checkpoint.Tensors["transformer.wte.weight"], checkpoint.Tensors["lm_head.weight"]];
        tied[0].Offset.ShouldBe(tied[1].Offset);
        using Tensor embedding = checkpoint.Load(tied[0].Name);
        using Tensor head = checkpoint.Load(tied[1].Name);

        _ = embedding.fill_(7);

        head.max().item<float>().ShouldBe(7);
        head.min().item<float>().ShouldBe(7);
    }

    [Theory]
    [InlineData("FloatStorage", "F32", ScalarType.Float32)]
    [InlineData("DoubleStorage", "F64", ScalarType.Float64)]
    [InlineData("HalfStorage", "F16", ScalarType.Float16)]
    [InlineData("BFloat16Storage", "BF16", ScalarType.BFloat16)]
    [InlineData("LongStorage", "I64", ScalarType.Int64)]
    [InlineData("IntStorage", "I32", ScalarType.Int32)]
    [InlineData("ShortStorage", "I16", ScalarType.Int16)]
    [InlineData("CharStorage", "I8", ScalarType.Int8)]
    [InlineData("ByteStorage", "U8", ScalarType.Byte)]
    public void Load_OfEachStorageType_HasItsBytes(string storage, string code, ScalarType type)
    {
        int size = Lab.Tensors.StoredDataType.Find(code)!.Bytes;
        byte[] bytes = [.. Enumerable.Range(0, 6 * size).Select(i => (byte)i)];
        using ICheckpoint checkpoint = Open(TorchFile.StateDictionary(("x", TorchFile.Tensor(TorchFile.Storage(storage, "0", 6), 2, [2, 2], [2, 1]))), bytes);

        using Tensor tensor = checkpoint.Load("x");

        checkpoint.Tensors["x"].Type.Code.ShouldBe(code);
        checkpoint.Tensors["x"].ByteCount.ShouldBe(4 * size);
        tensor.dtype.ShouldBe(type);
        tensor.bytes.ToArray().ShouldBe(bytes[(2 * size)..]);
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    public void Load_OfATransposedTensor_HasItsStrides(ScalarType type)
    {
        using ICheckpoint checkpoint = Open(TorchFile.StateDictionary(("x", TorchFile.Tensor(TorchFile.Storage("FloatStorage", "0", 7), 1, [3, 2], [1, 3]))), Floats(7));
        using Tensor tensor = checkpoint.Load("x", type);

        tensor.stride().ShouldBe([1, 3]);
        tensor.to(ScalarType.Float32).contiguous().data<float>().ToArray().ShouldBe([1, 4, 2, 5, 3, 6]);
    }

    [Fact]
    public void Open_OfAParameterAndOtherValues_TakesTheTensors()
    {
        byte[] tensor = TorchFile.Tensor(TorchFile.Storage("FloatStorage", "0", 1), 0, [], [], (byte)'N');
        byte[] parameter = [.. TorchFile.Global("torch._utils", "_rebuild_parameter"), .. tensor, 0x88, .. TorchFile.OrderedDictionary(), 0x87, (byte)'R'];
        byte[] list = [(byte)']', (byte)'(', .. TorchFile.Text("x"), (byte)'N', (byte)'e'];
        byte[] number = [(byte)'G', .. new byte[8]];
        using ICheckpoint checkpoint = Open(TorchFile.StateDictionary(("w", parameter), ("list", list), ("number", number), ("none", [(byte)'N'])), Floats(1));

        checkpoint.Tensors.Keys.ShouldBe(["w"]);
        checkpoint.Tensors["w"].Shape.ShouldBeEmpty();
    }

    [Fact]
    public void Open_OfProtocolFour_ReadsFramesMemoAndStackGlobals()
    {
        byte[] Short(string text) => [0x8C, (byte)text.Length, .. Encoding.UTF8.GetBytes(text), 0x94];
        byte[] Global(string module, string name) => [.. Short(module), .. Short(name), 0x93, 0x94];
        byte[] body =
        [
            .. Global("collections", "OrderedDict"), (byte)')', (byte)'R', 0x94, (byte)'(', .. Short("x"),
            .. Global("torch._utils", "_rebuild_tensor_v2"), (byte)'(', (byte)'(', .. Short("storage"), .. Global("torch", "FloatStorage"), .. Short("0"), .. Short("cpu"), (byte)'K', 2, (byte)'t', 0x94, (byte)'Q',
            (byte)'K', 0, (byte)'K', 2, 0x85, (byte)'K', 1, 0x85, 0x89, (byte)'h', 2, (byte)')', (byte)'R', (byte)'t', (byte)'R', (byte)'u', (byte)'.',
        ];

        using ICheckpoint checkpoint = Open([0x80, 4, 0x95, .. TorchFile.Number(body.Length, 8), .. body], Floats(2));

        using Tensor tensor = checkpoint.Load("x");
        tensor.data<float>().ToArray().ShouldBe([0, 1]);
    }

    [Fact]
    public void Load_FromAZip64_ReadsTheSame()
    {
        File.WriteAllBytes(_folder["x.pt"], TorchFile.Zip(TorchFile.Files(Vector(2), Floats(2)), isZip64: true));
        using ICheckpoint checkpoint = Checkpoint.OpenPickle(_folder["x.pt"]);
        using Tensor tensor = checkpoint.Load("x");

        tensor.data<float>().ToArray().ShouldBe([0, 1]);
    }

    [Fact]
    public void Load_OfUnknownName_NamesItAndTheFile()
    {
        using ICheckpoint checkpoint = Open(Vector(2), Floats(2));

        Should.Throw<KeyNotFoundException>(() => checkpoint.Load("y")).Message.ShouldBe($"{_folder["x.pt"]} has no tensor 'y'.");
    }

    private static byte[] Vector(int count) => TorchFile.StateDictionary(("x", TorchFile.Tensor(TorchFile.Storage("FloatStorage", "0", count), 0, [count], [1])));

    private static byte[] Floats(int count) => MemoryMarshal.AsBytes<float>([.. Enumerable.Range(0, count).Select(i => (float)i)]).ToArray();

    private ICheckpoint Open(byte[] pickle, params byte[][] storages)
    {
        File.WriteAllBytes(_folder["x.pt"], TorchFile.Zip(TorchFile.Files(pickle, storages)));
        return Checkpoint.OpenPickle(_folder["x.pt"]);
    }
}
