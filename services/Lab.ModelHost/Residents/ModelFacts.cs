using Lab.Models;
using static TorchSharp.torch;

namespace Lab.ModelHost.Residents;

/// <summary>What is known of a resident model without touching its tensors.</summary>
internal sealed record ModelFacts(TransformerConfig Config, long ParameterCount, long NonzeroParameterCount, long SizeBytes, string Device)
{
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
            gpt.Device.ToString());
    }
}
