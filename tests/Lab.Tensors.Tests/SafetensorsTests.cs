using System.Buffers.Binary;
using System.Text;
using Lab.Testing;
using TorchSharp;

namespace Lab.Tensors.Tests;

public sealed class SafetensorsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Write_ThenRead_RestoresTensorsAndMetadata()
    {
        HostTensor[] tensors = Samples();
        SafetensorsWriter.Write(_folder["m.safetensors"], tensors, new Dictionary<string, string> { ["format"] = "pt", ["a \"b\""] = "ü" });

        using SafetensorsFile file = SafetensorsFile.Open(_folder["m.safetensors"]);

        file.Entries.Keys.ShouldBe(tensors.Select(tensor => tensor.Name), ignoreOrder: true);
        foreach (HostTensor tensor in tensors) file.Read(tensor.Name).ShouldBe(tensor);
        file.Metadata.ShouldBe(new Dictionary<string, string> { ["format"] = "pt", ["a \"b\""] = "ü" }, ignoreOrder: true);
    }

    [Fact]
    public void Write_InAnyOrder_GivesTheSameAlignedBytes()
    {
        SafetensorsWriter.Write(_folder["a"], Samples());
        SafetensorsWriter.Write(_folder["b"], Samples().Reverse());

        File.ReadAllBytes(_folder["a"]).ShouldBe(File.ReadAllBytes(_folder["b"]));
        using SafetensorsFile file = SafetensorsFile.Open(_folder["a"]);
        file.Entries.Values.ShouldAllBe(entry => entry.Offset % entry.StoredType.Bytes == 0);
    }

    [Fact]
    public void Write_OverAnExistingFile_ReplacesItAndLeavesNothingElse()
    {
        File.WriteAllText(_folder["m"], "old");

        SafetensorsWriter.Write(_folder["m"], Samples());

        SafetensorsFile.Open(_folder["m"]).Dispose();
        _folder.Files().ShouldBe(["m"]);
    }

    [Fact]
    public void Begin_TensorsThatChangeAfterwards_StoresThemAsTheyWereAndOnlyOnceCommitted()
    {
        using var scope = torch.NewDisposeScope();
        torch.Tensor wide = torch.arange(12, torch.float32).reshape(3, 4), turned = wide.t(), half = wide.to(torch.bfloat16), none = torch.zeros(0, 5), scalar = torch.tensor(7L);
        (string Name, torch.Tensor Tensor)[] tensors = [("wide", wide), ("turned", turned), ("half", half), ("none", none), ("scalar", scalar)];
        SafetensorsWriter.Write(_folder["host"], tensors.Select(item => item.Tensor.ToHost(item.Name)), new Dictionary<string, string> { ["k"] = "v" });

        using (PendingFile dropped = SafetensorsWriter.Begin(_folder["dropped"], tensors)) _folder.Files().Length.ShouldBe(2);
        using (PendingFile file = SafetensorsWriter.Begin(_folder["m"], tensors, new Dictionary<string, string> { ["k"] = "v" }))
        {
            wide.zero_();
            File.Exists(_folder["m"]).ShouldBeFalse();
            file.Commit();
        }

        File.ReadAllBytes(_folder["m"]).ShouldBe(File.ReadAllBytes(_folder["host"]));
        _folder.Files().ShouldBe(["host", "m"], ignoreOrder: true);
    }

    [Fact]
    public void Write_TensorWhoseTypeHasNoCounterpart_NamesItAndLeavesNothing()
    {
        using torch.Tensor flags = torch.ones(3, torch.@bool);

        Should.Throw<ArgumentException>(() => SafetensorsWriter.Write(_folder["m"], [("flags", flags)])).Message.ShouldContain("'flags'");
        _folder.Files().ShouldBeEmpty();
    }

    [Fact]
    public void Write_WhenItFails_KeepsTheOldFileAndLeavesNothingElse()
    {
        File.WriteAllText(_folder["m"], "old");
        Directory.CreateDirectory(_folder["target"]);

        Should.Throw<ArgumentException>(() => SafetensorsWriter.Write(_folder["m"], [HostTensor.FromFloats("x", [1]), HostTensor.FromFloats("x", [2])]))
            .Message.ShouldContain("'x' is taken");
        // The rename over a folder fails after all bytes are written.
        Should.Throw<SystemException>(() => SafetensorsWriter.Write(_folder["target"], Samples()));

        File.ReadAllText(_folder["m"]).ShouldBe("old");
        _folder.Files().ShouldBe(["m"]);
    }

    [Fact]
    public void Open_OfFileFromAnotherWriter_ReadsIt()
    {
        // As the format's own description has it: no padding, metadata last, an empty tensor between two others.
        WriteRaw("""{"b":{"dtype":"I32","shape":[2],"data_offsets":[2,10]},"e":{"data_offsets":[2,2],"shape":[0,4],"dtype":"F64"},"a":{"dtype":"BF16","shape":[],"data_offsets":[0,2]},"__metadata__":{"k":"v"}}""", 10);

        using SafetensorsFile file = SafetensorsFile.Open(_folder["raw"]);

        file.Read("a").Data.ToArray().ShouldBe([0, 1]);
        file.Read("b").Data.ToArray().ShouldBe([2, 3, 4, 5, 6, 7, 8, 9]);
        file.Read("e").ElementCount.ShouldBe(0);
        file.Metadata["k"].ShouldBe("v");
    }

    [Theory]
    [InlineData("BOOL", 1)]
    [InlineData("U8", 1)]
    [InlineData("I8", 1)]
    [InlineData("I16", 2)]
    [InlineData("U16", 2)]
    [InlineData("U64", 8)]
    [InlineData("F8_E4M3", 1)]
    [InlineData("C64", 8)]
    public void Open_OfFileThatAlsoHoldsAnotherType_ReadsTheRestAndNamesThatTensor(string code, int size)
    {
        WriteRaw($$$"""{"mask":{"dtype":"{{{code}}}","shape":[2],"data_offsets":[4,{{{4 + (2 * size)}}}]},"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", 4 + (2 * size));

        using SafetensorsFile file = SafetensorsFile.Open(_folder["raw"]);

        file.Read("w").ElementCount.ShouldBe(1);
        file.Entries["mask"].StoredType.Code.ShouldBe(code);
        Should.Throw<InvalidDataException>(() => file.Read("mask")).Message.ShouldBe($"{_folder["raw"]}: tensor 'mask' is of type {code}, which cannot be read.");
        Should.Throw<InvalidDataException>(() => file.Load("mask", TorchSharp.torch.ScalarType.Float32)).Message.ShouldStartWith($"{_folder["raw"]}: tensor 'mask' is of type {code}");
    }

    [Fact]
    public void Open_OfSubByteTypes_CountsBits()
    {
        WriteRaw("""{"x":{"dtype":"F4","shape":[3,2],"data_offsets":[0,3]},"y":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[3,6]}}""", 6);
        using (SafetensorsFile file = SafetensorsFile.Open(_folder["raw"])) file.Entries.Count.ShouldBe(2);

        WriteRaw("""{"x":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}}""", 2);
        Should.Throw<InvalidDataException>(() => SafetensorsFile.Open(_folder["raw"])).Message.ShouldContain("does not fill whole bytes");
    }

    [Theory]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}""", "overlaps")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", "overlaps")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}""", "the 2 bytes before tensor 'a'")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", "the last 2 bytes")]
    [InlineData("{}", "the last 6 bytes")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", "do not lie within")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}""", "do not lie within")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}""", "do not lie within")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}""", "do not lie within")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,99999999999999999999]}}""", "64-bit integers")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,6]}}""", "64-bit integers")]
    [InlineData("""{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,6]}}""", "negative dimension")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}""", "more bytes than 64 bits")]
    [InlineData("""{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,6]}}""", "needs 4 bytes, but has 6")]
    [InlineData("""{"a":{"dtype":"Q4","shape":[3],"data_offsets":[0,6]}}""", "unknown type Q4")]
    [InlineData("""{"a":{"dtype":3,"shape":[3],"data_offsets":[0,6]}}""", "unknown type 3")]
    [InlineData("""{"a":{"dtype":"F16","shape":[3]}}""", "lacks dtype, shape or data_offsets")]
    [InlineData("""{"a":{"dtype":"F16","shape":[3],"data_offsets":[0,6],"x":1}}""", "unknown key 'x'")]
    [InlineData("""{"a":{"dtype":"F16","shape":[3],"data_offsets":[0,6]},"a":{"dtype":"F16","shape":[3],"data_offsets":[0,6]}}""", "not valid JSON")]
    [InlineData("""{"a":{"dtype":"F16","shape":[3],"shape":[3],"data_offsets":[0,6]}}""", "not valid JSON")]
    [InlineData("""{"\ud800":{"dtype":"F16","shape":[3],"data_offsets":[0,6]}}""", "not valid JSON")]
    [InlineData("""{"a":{"dtype":"F16","shape":[3],"data_offsets":[0,6]}""", "not valid JSON")]
    [InlineData("""{"a":7}""", "is a JSON Number")]
    [InlineData("[]", "is a JSON Array")]
    [InlineData("", "not valid JSON")]
    [InlineData("""{"__metadata__":{"a":1}}""", "is not a string")]
    [InlineData("""{"__metadata__":[]}""", "is a JSON Array")]
    public void Open_OfMalformedHeader_NamesPathAndReason(string header, string reason)
    {
        WriteRaw(header, 6);

        InvalidDataException error = Should.Throw<InvalidDataException>(() => SafetensorsFile.Open(_folder["raw"]));

        error.Message.ShouldStartWith(_folder["raw"]);
        error.Message.ShouldContain(reason);
    }

    [Theory]
    [InlineData(new byte[] { }, "too few")]
    [InlineData(new byte[] { 1, 0, 0, 0, 0, 0, 0 }, "too few")]
    [InlineData(new byte[] { 3, 0, 0, 0, 0, 0, 0, 0, 0x7B, 0x7D }, "only 2 follow")]
    [InlineData(new byte[] { 255, 255, 255, 255, 255, 255, 255, 255, 0x7B, 0x7D }, "at most 100000000")]
    [InlineData(new byte[] { 1, 225, 245, 5, 0, 0, 0, 0, 0x7B, 0x7D }, "at most 100000000")]
    [InlineData(new byte[] { 4, 0, 0, 0, 0, 0, 0, 0, 0x22, 0xFF, 0xFE, 0x22 }, "not an object")]
    [InlineData(new byte[] { 7, 0, 0, 0, 0, 0, 0, 0, 0x7B, 0x22, 0xFF, 0x22, 0x3A, 0x31, 0x7D }, "not valid JSON")]
    public void Open_OfMalformedFile_NamesPathAndReason(byte[] bytes, string reason)
    {
        File.WriteAllBytes(_folder["raw"], bytes);

        InvalidDataException error = Should.Throw<InvalidDataException>(() => SafetensorsFile.Open(_folder["raw"]));

        error.Message.ShouldStartWith(_folder["raw"]);
        error.Message.ShouldContain(reason);
    }

    [Fact]
    public void Read_OfUnknownName_NamesItAndTheFile()
    {
        SafetensorsWriter.Write(_folder["m"], Samples());
        using SafetensorsFile file = SafetensorsFile.Open(_folder["m"]);

        string message = Should.Throw<KeyNotFoundException>(() => file.Read("nothing")).Message;

        message.ShouldContain("'nothing'");
        message.ShouldContain(_folder["m"]);
    }

    [Fact]
    public void Read_AfterDispose_Throws()
    {
        SafetensorsWriter.Write(_folder["m"], Samples());
        SafetensorsFile file = SafetensorsFile.Open(_folder["m"]);
        file.Dispose();

        Should.Throw<ObjectDisposedException>(() => file.Read("wte"));
    }

    [Fact]
    public void Open_OfMissingFile_NamesIt() =>
        Should.Throw<FileNotFoundException>(() => SafetensorsFile.Open(_folder["missing"])).Message.ShouldContain("missing");

    private static HostTensor[] Samples() =>
    [
        HostTensor.FromFloats("wte", [1, 2, 3, 4, 5, 6], 3, 2),
        HostTensor.FromFloats("scalar", [-1]),
        new HostTensor("half", TensorDataType.Float16, [3], new byte[] { 1, 2, 3, 4, 5, 6 }),
        new HostTensor("bytes \"ü\\", TensorDataType.BFloat16, [1, 1], new byte[] { 9, 8 }),
        new HostTensor("ids", TensorDataType.Int64, [2], new byte[16]),
        new HostTensor("none", TensorDataType.Float64, [0, 5], default),
        new HostTensor("steps", TensorDataType.Int32, [1], new byte[] { 1, 0, 0, 0 }),
    ];

    private void WriteRaw(string header, int dataBytes)
    {
        byte[] json = Encoding.UTF8.GetBytes(header);
        byte[] prefix = new byte[sizeof(ulong)];
        BinaryPrimitives.WriteInt64LittleEndian(prefix, json.Length);
        File.WriteAllBytes(_folder["raw"], [.. prefix, .. json, .. Enumerable.Range(0, dataBytes).Select(i => (byte)i)]);
    }
}
