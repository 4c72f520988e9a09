using Lab.Models;
using static TorchSharp.torch;

namespace Lab.ModelHost.Residents;

/// <summary>What is known of a resident model without touching its tensors.</summary>
internal sealed record ModelFacts(TransformerConfig Config, long ParameterCount, long NonzeroParameterCount, long SizeBytes, string Device)
{
    /// <summary>The shape of each parameter.</summary>
    public required IReadOnlyDictionary<string, long[]> ParameterShapes { get; init; }

    /// <summary>Bytes of an element of the model.</summary>
    public int ElementSize => (int)(SizeBytes / ParameterCount);

    /// <summary>Measures a model, on its worker's thread.</summary>
    public static ModelFacts Of(Transformer gpt)
    {
        using var scope = NewDisposeScope();
        IReadOnlyList<NamedParameter> parameters = gpt.Weights.All;
        return new ModelFacts(
            gpt.Config,
            parameters.Sum(parameter => parameter.Value.numel()),
            parameters.Sum(parameter => parameter.Value.count_nonzero().item<long>()),
            parameters.Sum(parameter => parameter.Value.numel() * parameter.Value.ElementSize),
            gpt.Device.ToString())
        {
            ParameterShapes = parameters.ToDictionary(parameter => parameter.Name, parameter => parameter.Value.shape),
        };
    }
}
