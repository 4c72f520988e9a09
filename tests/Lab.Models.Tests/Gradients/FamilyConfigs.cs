namespace Lab.Models.Tests.Gradients;

/// <summary>Small models of every family and with every option, in FP64 and with weights large enough that every part matters.</summary>
internal static class FamilyConfigs
{
    private static readonly TransformerConfig _small = new() { NLayers = 2, DModel = 12, NHeads = 4, DHead = 4, DMlp = 10, DVocab = 17, NCtx = 8 };

    private static readonly TransformerConfig _llama = _small with
    {
        Family = ModelFamily.Llama,
        NKeyValueHeads = 2,
        NormEpsilon = 1e-5,
        Positions = PositionKind.Rotary,
        Rotary = new RotaryConfig { Theta = 100, Factor = 2, OriginalContext = 6 },
        AttentionBias = false,
        AttentionOutBias = false,
        MlpBias = false,
        GatedMlp = true,
        Activation = ActivationFunction.Silu,
    };

    public static IReadOnlyDictionary<string, TransformerConfig> All { get; } = new Dictionary<string, TransformerConfig>
    {
        ["gpt2"] = _small with
        {
            Family = ModelFamily.Gpt2,
            Norm = NormKind.Layer,
            NormBias = true,
            NormEpsilon = 1e-5,
            Positions = PositionKind.Learned,
            TiedUnembedding = true,
            Activation = ActivationFunction.GeluTanh,
            ScaleAttentionByLayer = true,
        },
        ["llama"] = _llama,
        ["mistral"] = _llama with { WindowSize = 2, LocalLayers = [0, 1], DHead = 6 },
        ["qwen2"] = _llama with { AttentionBias = true, TiedUnembedding = true },
        ["qwen3"] = _llama with { QkNorm = true, NKeyValueHeads = 1 },
        ["gemma3"] = _llama with
        {
            Family = ModelFamily.Gemma3,
            NormGainOffset = 1,
            SandwichNorms = true,
            QkNorm = true,
            LocalLayers = [0],
            WindowSize = 2,
            LocalRotary = new RotaryConfig(),
            EmbeddingScale = Math.Sqrt(12),
            AttentionScale = 0.4,
            AttentionSoftCap = 2,
            LogitSoftCap = 3,
            Activation = ActivationFunction.GeluTanh,
            TiedUnembedding = true,
        },
        ["sparse"] = _small with { Positions = PositionKind.Learned, ActivationFraction = 0.5, AttentionSink = true, BigramTable = true, FinalLogitsBias = true },
        ["sparse-concatenated"] = _small with
        {
            Positions = PositionKind.Concatenated,
            DPos = 3,
            ActivationFraction = 0.6,
            ActivationSites = AbsTopKSites.AttnIn | AbsTopKSites.MlpNeuron | AbsTopKSites.ResidPostAttn,
            ResidualRelu = true,
            Activation = ActivationFunction.Relu,
            Norm = NormKind.Layer,
        },
    };

    public static Transformer New(string family, ulong seed = 5, TorchSharp.torch.ScalarType type = TorchSharp.torch.ScalarType.Float64)
    {
        TransformerConfig config = All[family];
        using TorchSharp.torch.Generator generator = new(seed);
        return new Transformer(config, new TransformerWeights(config, (_, shape) => TorchSharp.torch.randn(shape, TorchSharp.torch.ScalarType.Float64, generator: generator).mul_(0.5).to(type)));
    }
}
