using System.Text.Json.Nodes;
using Lab.Models.Checkpoints;
using Lab.Models.Folders;
using Lab.Testing;
using static TorchSharp.torch;

namespace Lab.Models.Tests.Folders;

public sealed class CircuitSparsityFolderTests : IDisposable
{
    private static readonly TransformerConfig Plain = new() { NLayers = 2, DModel = 16, NHeads = 4, DHead = 4, DMlp = 32, DVocab = 20, NCtx = 8 };

    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> TorchFolders => ["dense-layernorm-tied", "sparse-rms-sink-bigram", "training-linear", "training-weights-only"];

    /// <summary>Every setting that their code has.</summary>
    public static TheoryData<string> Settings => [.. Configs.Keys];

    private static Dictionary<string, TransformerConfig> Configs => new()
    {
        ["plain"] = Plain,
        ["learned positions"] = Plain with { Positions = PositionKind.Learned },
        ["concatenated positions"] = Plain with { Positions = PositionKind.Concatenated, DPos = 6 },
        ["sinusoids"] = Plain with { Positions = PositionKind.Concatenated, DPos = 6, SinusoidalPositions = true },
        ["layer norm"] = Plain with { Norm = NormKind.Layer, NormBias = true, NormEpsilon = 1e-5 },
        ["layer norm without bias"] = Plain with { Norm = NormKind.Layer, NormEpsilon = 1e-5 },
        ["no biases"] = Plain with { AttentionBias = false, AttentionOutBias = false, MlpBias = false },
        ["tied"] = Plain with { TiedUnembedding = true },
        ["sink"] = Plain with { AttentionSink = true },
        ["learned bigram"] = Plain with { BigramTable = true },
        ["counted bigram"] = Plain with { BigramTable = true, LearnedBigramTable = false },
        ["relu"] = Plain with { Activation = ActivationFunction.Relu, ResidualRelu = true },
        ["sparse"] = Plain with { ActivationFraction = 0.25, ActivationSites = AbsTopKSites.MlpNeuron | AbsTopKSites.ResidPostAttn },
    };

    public void Dispose() => _folder.Dispose();

    /// <summary>The reference files are torch.save's own: zip, pickle, keys, order, types, shapes, strides and storages.</summary>
    [Theory]
    [MemberData(nameof(TorchFolders))]
    public void Save_OfAModelThatTorchSaved_GivesTorchsBytes(string name)
    {
        using GoldenFolder golden = new(name);
        using Transformer model = ModelFolder.Load(golden.Folder);

        CircuitSparsityFolder.Save(model, _folder.Path);

        byte[] expected = File.ReadAllBytes(Path.Combine(golden.Folder, CircuitSparsityFolder.WeightsFile)), actual = File.ReadAllBytes(_folder[CircuitSparsityFolder.WeightsFile]);
        expected.AsSpan().CommonPrefixLength(actual).ShouldBe(expected.Length);
        actual.Length.ShouldBe(expected.Length);
        JsonObject theirs = Read(Path.Combine(golden.Folder, CircuitSparsityFolder.ConfigFile)), ours = Read(_folder[CircuitSparsityFolder.ConfigFile]);
        foreach ((string field, JsonNode? value) in theirs.Where(field => field.Key is not ("tokenizer_name" or "afrac_loctypes")))
            JsonNode.DeepEquals(ours[field], value).ShouldBeTrue($"{field}: {ours[field]} where theirs is {value}");
        ours.ContainsKey("bigram_table_rank").ShouldBeTrue();
    }

    [Theory]
    [MemberData(nameof(Settings))]
    public void Load_OfSaved_IsTheSameModel(string setting)
    {
        using Transformer model = new(Configs[setting], TransformerWeights.Initialize(Configs[setting], seed: 3));
        CircuitSparsityFolder.Save(model, _folder.Path);

        using Transformer loaded = ModelFolder.Load(_folder.Path);

        // What their layout always has is zero where the model had none.
        loaded.Config.ShouldBe(model.Config with
        {
            FinalLogitsBias = true,
            Positions = model.Config.Positions == PositionKind.None ? PositionKind.Learned : model.Config.Positions,
            ActivationSites = loaded.Config.ActivationSites,
        });
        if (model.Config.ActivationFraction < 1) loaded.Config.ActivationSites.ShouldBe(model.Config.ActivationSites);
        using var scope = NewDisposeScope();
        foreach (NamedParameter parameter in model.Weights.All)
            loaded.Weights.All.Single(other => other.Name == parameter.Name).Value.HasSameElements(parameter.Value).ShouldBeTrue(parameter.Name);
        Tensor tokens = arange(8).view(1, 8);
        loaded.Forward(tokens).HasSameElements(model.Forward(tokens)).ShouldBeTrue();
    }

    [Fact]
    public void Load_OfAFolderWithBothFormats_IsTheModelOfEither()
    {
        using Transformer model = new(Plain, TransformerWeights.Initialize(Plain, seed: 3));
        TransformerCheckpoint.Save(model, _folder.Path);
        CircuitSparsityFolder.Save(model, _folder.Path);

        using Transformer both = ModelFolder.Load(_folder.Path);
        both.Config.ShouldBe(Plain);
        File.Delete(_folder[TransformerCheckpoint.WeightsFile]);
        using Transformer theirs = ModelFolder.Load(_folder.Path);
        theirs.Config.Positions.ShouldBe(PositionKind.Learned);
    }

    [Fact]
    public void Save_OfAModelThatTheirCodeHasNot_NamesTheSettingAndWritesNothing()
    {
        TransformerConfig config = Plain with { QkNorm = true };
        using Transformer model = new(config, TransformerWeights.Initialize(config, seed: 3));

        Should.Throw<ArgumentException>(() => CircuitSparsityFolder.Save(model, _folder.Path)).ParamName.ShouldBe("use_qk_norm");
        Directory.GetFiles(_folder.Path).ShouldBeEmpty();
    }

    private static JsonObject Read(string file) => JsonNode.Parse(File.ReadAllText(file))!.AsObject();
}
