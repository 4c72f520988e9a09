using static TorchSharp.torch;

namespace Lab.Models.Tests;

/// <summary>Small models of every family, with random weights large enough that every site matters.</summary>
internal static class RandomModels
{
    /// <summary>The families' settings by name; all have 2 or 3 layers, 20 tokens and a context of 16.</summary>
    public static IReadOnlyDictionary<string, TransformerConfig> Configs { get; } = new Dictionary<string, TransformerConfig>
    {
        ["circuit_sparsity"] = Sizes(4) with { AttentionSink = true, BigramTable = true, Positions = PositionKind.Learned, ActivationFraction = 0.5, FinalLogitsBias = true },
        ["circuit_sparsity, concatenated"] = Sizes(4) with { Positions = PositionKind.Concatenated, DPos = 4, ResidualRelu = true },
        ["gpt2"] = Sizes(4) with
        {
            Family = ModelFamily.Gpt2,
            Norm = NormKind.Layer,
            NormBias = true,
            NormEpsilon = 1e-5,
            Positions = PositionKind.Learned,
            Activation = ActivationFunction.GeluTanh,
            TiedUnembedding = true,
        },
        ["llama"] = Llama(ModelFamily.Llama),
        ["mistral"] = Llama(ModelFamily.Mistral) with { WindowSize = 3, LocalLayers = [0, 1] },
        ["qwen2"] = Llama(ModelFamily.Qwen2) with { AttentionBias = true },
        ["qwen3"] = Llama(ModelFamily.Qwen3) with { QkNorm = true, TiedUnembedding = true, DHead = 6 },
        ["gemma3"] = Llama(ModelFamily.Gemma3) with
        {
            NLayers = 3,
            NormGainOffset = 1,
            SandwichNorms = true,
            QkNorm = true,
            Activation = ActivationFunction.GeluTanh,
            EmbeddingScale = 4,
            TiedUnembedding = true,
            AttentionScale = 0.5,
            WindowSize = 4,
            LocalLayers = [0, 2],
            LocalRotary = new RotaryConfig { Theta = 100 },
        },
    };

    /// <summary>The names, for theories.</summary>
    public static TheoryData<string> Names => [.. Configs.Keys];

    /// <summary>A model, which the caller disposes.</summary>
    /// <param name="name">Of <see cref="Configs"/>.</param>
    /// <param name="type">The type of weights and activations.</param>
    /// <param name="seed">Equal seeds give equal weights.</param>
    public static Transformer Create(string name, ScalarType type = ScalarType.Float32, long seed = 7) => Create(Configs[name], type, seed);

    /// <summary>A model of any settings, which the caller disposes.</summary>
    public static Transformer Create(TransformerConfig config, ScalarType type = ScalarType.Float32, long seed = 7)
    {
        using Generator generator = new((ulong)seed);
        return new Transformer(config, new TransformerWeights(config, (_, shape) =>
        {
            using Tensor values = randn(shape, generator: generator);
            return values.mul_(0.4).to(type, copy: true);
        }));
    }

    /// <summary>Rows of random tokens of the given lengths.</summary>
    public static int[][] Rows(int seed, params int[] lengths)
    {
        Random random = new(seed);
        return [.. lengths.Select(length => Enumerable.Range(0, length).Select(_ => random.Next(20)).ToArray())];
    }

    private static TransformerConfig Sizes(int heads) => new()
    {
        NLayers = 2,
        DModel = 16,
        NHeads = heads,
        DHead = 4,
        DMlp = 24,
        DVocab = 20,
        NCtx = 16,
    };

    private static TransformerConfig Llama(ModelFamily family) => Sizes(4) with
    {
        Family = family,
        NKeyValueHeads = 2,
        NormEpsilon = 1e-6,
        Positions = PositionKind.Rotary,
        Rotary = new RotaryConfig(),
        AttentionBias = false,
        AttentionOutBias = false,
        MlpBias = false,
        GatedMlp = true,
        Activation = ActivationFunction.Silu,
    };
}
