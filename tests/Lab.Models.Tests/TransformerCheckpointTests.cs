using System.Text.Json;
using System.Text.Json.Nodes;
using Lab.Models.Tests.Interventions;
using Lab.Tensors;
using Lab.Testing;
using TorchSharp;

namespace Lab.Models.Tests;

public sealed class TransformerCheckpointTests : IDisposable
{
    private static readonly TransformerConfig Config = SmallModel.Config with { FinalLogitsBias = true };

    private readonly TemporaryFolder _folder = new();
    private readonly SmallModel _model = new(Config);

    public TransformerCheckpointTests() => TransformerCheckpoint.Save(_model.Transformer, _folder.Path);

    private string ConfigPath => _folder[TransformerCheckpoint.ConfigFile];

    private string WeightsPath => _folder[TransformerCheckpoint.WeightsFile];

    public static TheoryData<string, string> BrokenConfigs => new()
    {
        { "", "JSON" },
        { "null", "empty" },
        { "{\"n_layers\": 2", "JSON" },
        { "{\"n_layers\": 2}", "d_model" },
        { Edited("n_layers", "two"), "n_layers" },
        { Edited("n_layers", 0), "n_layers must be from 1 to 1024, not 0" },
        { Edited("afrac", 1.5), "afrac must be above 0 and at most 1, not 1.5" },
    };

    public void Dispose()
    {
        _model.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void Load_OfSaved_IsTheSameModel()
    {
        using Transformer loaded = Load();

        loaded.Config.ShouldBe(Config);
        loaded.Weights.All.Select(parameter => parameter.Name).ShouldBe(_model.Transformer.Weights.All.Select(parameter => parameter.Name));
        foreach ((NamedParameter actual, NamedParameter expected) in loaded.Weights.All.Zip(_model.Transformer.Weights.All))
            actual.Value.HasSameElements(expected.Value).ShouldBeTrue(actual.Name);
    }

    [Fact]
    public void Save_OfLoaded_GivesTheSameBytes()
    {
        using Transformer loaded = Load();
        string again = Directory.CreateDirectory(_folder["again"]).FullName;

        TransformerCheckpoint.Save(loaded, again);

        foreach (string file in (string[])[TransformerCheckpoint.ConfigFile, TransformerCheckpoint.WeightsFile])
            File.ReadAllBytes(Path.Combine(again, file)).ShouldBe(File.ReadAllBytes(_folder[file]));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(0.001)]
    [InlineData(0.5)]
    [InlineData(0.9999)]
    public void Load_WeightsCutShort_NamesTheFile(double kept)
    {
        byte[] bytes = File.ReadAllBytes(WeightsPath);
        File.WriteAllBytes(WeightsPath, bytes[..(int)(kept * bytes.Length)]);

        ShouldFail(WeightsPath);
    }

    [Fact]
    public void Load_WeightsOfAnotherShape_NamesFileTensorAndBothShapes()
    {
        Rewrite(tensor => tensor.Name == "lm_head.weight" ? HostTensor.FromFloats(tensor.Name, new float[20 * 8], 20, 8) : tensor);

        ShouldFail(WeightsPath, "lm_head.weight", "[20, 8]", "[20, 16]");
    }

    [Fact]
    public void Load_WeightsOfAnotherType_NamesFileTensorAndType()
    {
        Rewrite(tensor => tensor.Name == "bigram_table" ? new HostTensor(tensor.Name, TensorDataType.Int32, tensor.Shape, tensor.Data) : tensor);

        ShouldFail(WeightsPath, "bigram_table", "I32");
    }

    [Fact]
    public void Load_WeightMissing_NamesFileAndTensor()
    {
        Rewrite(tensor => tensor.Name == "transformer.wpe.weight" ? null : tensor);

        ShouldFail(WeightsPath, "transformer.wpe.weight");
    }

    [Fact]
    public void Load_WeightThatTheConfigHasNoUseFor_NamesFileAndTensor()
    {
        File.WriteAllText(ConfigPath, Edited("sink", false));

        ShouldFail(WeightsPath, "transformer.h.0.attn.attn_imp.sink_logit");
    }

    [Theory]
    [MemberData(nameof(BrokenConfigs))]
    public void Load_BrokenConfig_NamesTheFileAndWhatIsWrong(string json, string reason)
    {
        File.WriteAllText(ConfigPath, json);

        ShouldFail(ConfigPath, reason);
    }

    [Fact]
    public void Load_CorruptWeights_LeavesNoTensorAlive()
    {
        Rewrite(tensor => tensor.Name == "lm_head.weight" ? null : tensor);
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;

        ShouldFail(WeightsPath);

        DisposeScopeManager.Statistics.ThreadTotalLiveCount.ShouldBe(before);
    }

    private static string Edited(string field, JsonNode value)
    {
        JsonNode config = JsonSerializer.SerializeToNode(Config)!;
        config[field].ShouldNotBeNull();
        config[field] = value;
        return config.ToJsonString();
    }

    private Transformer Load() => TransformerCheckpoint.Load(ConfigPath, WeightsPath);

    private void ShouldFail(params string[] message)
    {
        string actual = Should.Throw<InvalidDataException>(Load).Message;
        foreach (string part in message) actual.ShouldContain(part);
    }

    /// <summary>Changes the tensors of the weights' file; null leaves one out.</summary>
    private void Rewrite(Func<HostTensor, HostTensor?> change)
    {
        HostTensor[] tensors;
        using (SafetensorsFile file = SafetensorsFile.Open(WeightsPath)) tensors = [.. file.Entries.Keys.Select(file.Read)];
        SafetensorsWriter.Write(WeightsPath, tensors.Select(change).OfType<HostTensor>());
    }
}
