using System.Text.Json;
using Lab.Models.Checkpoints;
using Lab.Tensors;
using Lab.Testing;
using static TorchSharp.torch;

namespace Lab.Models.Tests.Checkpoints;

public sealed class SafetensorsCheckpointTests : IDisposable
{
    private const string First = "model-00001-of-00002.safetensors";
    private const string Second = "model-00002-of-00002.safetensors";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Open_OfASingleFile_ListsAndLoadsItsTensors()
    {
        SafetensorsWriter.Write(_folder["model.safetensors"], [HostTensor.FromFloats("a", [1, 2, 3, 4], 2, 2), new HostTensor("b", TensorDataType.BFloat16, [1], new byte[] { 0x80, 0x3F })]);

        using ICheckpoint checkpoint = Checkpoint.Open(_folder.Path);

        checkpoint.Path.ShouldBe(_folder["model.safetensors"]);
        checkpoint.Tensors.Keys.ShouldBe(["a", "b"], ignoreOrder: true);
        (string code, long bytes, string file) = (checkpoint.Tensors["b"].Type.Code, checkpoint.Tensors["b"].ByteCount, checkpoint.Tensors["b"].File);
        (code, bytes, file).ShouldBe(("BF16", 2, _folder["model.safetensors"]));
        checkpoint.Tensors["a"].Shape.ShouldBe([2, 2]);
        using Tensor a = checkpoint.Load("a");
        using Tensor b = checkpoint.Load("b", ScalarType.Float32);
        a.data<float>().ToArray().ShouldBe([1, 2, 3, 4]);
        b.item<float>().ShouldBe(1);
        Should.Throw<KeyNotFoundException>(() => checkpoint.Load("c")).Message.ShouldBe($"{_folder["model.safetensors"]} has no tensor 'c'.");
    }

    [Fact]
    public void Open_OfShards_LoadsEachTensorFromItsOwn()
    {
        WriteShards();
        using ICheckpoint checkpoint = Checkpoint.Open(_folder.Path);

        checkpoint.Path.ShouldBe(_folder[Checkpoint.IndexFileName]);
        checkpoint.Tensors.ToDictionary(pair => pair.Key, pair => Path.GetFileName(pair.Value.File))
            .ShouldBe(new Dictionary<string, string> { ["a"] = First, ["b"] = First, ["c"] = Second }, ignoreOrder: true);
        using Tensor a = checkpoint.Load("a");
        using Tensor c = checkpoint.Load("c");
        checkpoint.Dispose();
        a.data<float>().ToArray().ShouldBe([1, 2]);
        c.data<float>().ToArray().ShouldBe([4, 5, 6]);
    }

    [Theory]
    [InlineData("""{"weight_map":{"a":"1","b":"1","c":"1"}}""", "tensor 'c' is not in its shard")]
    [InlineData("""{"weight_map":{"a":"1","c":"2"}}""", "tensor 'b' is in the shard 'model-00001-of-00002.safetensors', where weight_map does not place it")]
    [InlineData("""{"weight_map":{"a":"1","b":"1","c":"2","d":"2"}}""", "tensor 'd' is not in its shard 'model-00002-of-00002.safetensors'")]
    [InlineData("""{"weight_map":{"a":"1","b":"1","c":"gone.safetensors"}}""", "the shard 'gone.safetensors' is not there")]
    [InlineData("""{"weight_map":{"a":"../1"}}""", "weight_map of tensor 'a' is not the name of a .safetensors file in the same folder")]
    [InlineData("""{"weight_map":{"a":"/etc/x.safetensors"}}""", "weight_map of tensor 'a'")]
    [InlineData("""{"weight_map":{"a":"..\\x.safetensors"}}""", "weight_map of tensor 'a'")]
    [InlineData("""{"weight_map":{"a":"passwd"}}""", "weight_map of tensor 'a'")]
    [InlineData("""{"weight_map":{"a":""}}""", "weight_map of tensor 'a'")]
    [InlineData("""{"weight_map":{"a":1}}""", "weight_map of tensor 'a'")]
    [InlineData("""{"weight_map":{}}""", "weight_map names 0 shards")]
    [InlineData("""{"weight_map":{"a":"1","a":"2"}}""", "not valid JSON")]
    [InlineData("""{"weight_map":[]}""", "has no object weight_map")]
    [InlineData("""{"metadata":{}}""", "has no object weight_map")]
    [InlineData("[]", "has no object weight_map")]
    [InlineData("", "not valid JSON")]
    public void Open_OfABadIndex_NamesItAndTheReason(string json, string reason)
    {
        WriteShards();
        File.WriteAllText(_folder[Checkpoint.IndexFileName], json.Replace("1\"", First + "\"", StringComparison.Ordinal).Replace("\"2\"", $"\"{Second}\"", StringComparison.Ordinal));

        string message = Should.Throw<InvalidDataException>(() => Checkpoint.Open(_folder.Path)).Message;

        message.ShouldStartWith(_folder[Checkpoint.IndexFileName]);
        message.ShouldContain(reason);
    }

    [Fact]
    public void Open_OfABadShard_NamesTheShard()
    {
        WriteShards();
        File.WriteAllBytes(_folder[Second], File.ReadAllBytes(_folder[Second])[..^1]);

        Should.Throw<InvalidDataException>(() => Checkpoint.Open(_folder.Path)).Message.ShouldStartWith(_folder[Second]);
    }

    [Fact]
    public void Open_OfAFolderWithoutWeights_NamesItAndWhatItLooksFor()
    {
        string message = Should.Throw<FileNotFoundException>(() => Checkpoint.Open(_folder.Path)).Message;

        foreach (string part in (string[])[_folder.Path, Checkpoint.SafetensorsFileName, Checkpoint.IndexFileName, Checkpoint.PickleFileName]) message.ShouldContain(part);
    }

    private void WriteShards()
    {
        SafetensorsWriter.Write(_folder[First], [HostTensor.FromFloats("a", [1, 2], 2), HostTensor.FromFloats("b", [3])]);
        SafetensorsWriter.Write(_folder[Second], [HostTensor.FromFloats("c", [4, 5, 6], 3)]);
        File.WriteAllText(
            _folder[Checkpoint.IndexFileName],
            JsonSerializer.Serialize(new { metadata = new { total_size = 24 }, weight_map = new Dictionary<string, string> { ["a"] = First, ["b"] = First, ["c"] = Second } }));
    }
}
