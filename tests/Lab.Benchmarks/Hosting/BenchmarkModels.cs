using System.Text.Json;
using Lab.Models;
using Lab.Tensors;

namespace Lab.Benchmarks.Hosting;

/// <summary>Models with random weights, written into folders.</summary>
internal static class BenchmarkModels
{
    /// <summary>GPT-2 small's shape: 124 million parameters.</summary>
    public static TransformerConfig Gpt2Small { get; } = new()
    {
        Family = ModelFamily.Gpt2,
        NLayers = 12,
        DModel = 768,
        NHeads = 12,
        DHead = 64,
        DMlp = 3072,
        DVocab = 50257,
        NCtx = 1024,
        Norm = NormKind.Layer,
        NormEpsilon = 1e-5,
        NormBias = true,
        Positions = PositionKind.Learned,
        Activation = ActivationFunction.GeluTanh,
        TiedUnembedding = true,
    };

    /// <summary>Hardly any arithmetic, and much to send: what is left is the stream.</summary>
    public static TransformerConfig Wide { get; } = new()
    {
        NLayers = 1,
        DModel = 16384,
        NHeads = 1,
        DHead = 1,
        DMlp = 1,
        DVocab = 256,
        NCtx = 2048,
    };

    /// <summary>Writes GPT-2 small as Hugging Face would.</summary>
    public static void WriteGpt2Small(string folder)
    {
        using Transformer model = new(Gpt2Small, TransformerWeights.Initialize(Gpt2Small, seed: 1));
        File.WriteAllText(Path.Combine(folder, "config.json"), JsonSerializer.Serialize(new { model_type = "gpt2" }));
        SafetensorsWriter.Write(Path.Combine(folder, "model.safetensors"), model.Weights.All.Select(parameter => (parameter.Name, parameter.Value)));
    }

    /// <summary>Writes the wide model as the lab does.</summary>
    public static void WriteWide(string folder)
    {
        using Transformer model = new(Wide, TransformerWeights.Initialize(Wide, seed: 1));
        TransformerCheckpoint.Save(model, folder);
    }

    /// <summary>Some tokens, other ones for other seeds.</summary>
    public static int[] Tokens(int length, int seed, int vocabulary) => [.. Enumerable.Range(0, length).Select(i => ((i * 7919) + (seed * 104729)) % vocabulary)];
}
