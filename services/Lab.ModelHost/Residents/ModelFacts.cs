using System.Globalization;
using Lab.Models;
using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.ModelHost.Residents;

/// <summary>What is known of a resident model without touching its tensors; parameters are in ordinal order of their names.</summary>
internal sealed record ModelFacts(
    TransformerConfig Config, TensorDataType Type, long ParameterCount, long NonzeroParameterCount, long SizeBytes, string Device, IReadOnlyList<ParameterFacts> Parameters)
{
    /// <summary>Measures a model, on its worker's thread.</summary>
    public static ModelFacts Of(Transformer model)
    {
        using var scope = NewDisposeScope();
        IReadOnlyList<NamedParameter> parameters = model.Weights.All;
        HashSet<string> inOut = [.. model.Weights.Blocks.SelectMany(LinearMaps).OfType<LinearWeights>().Where(map => map.IsInOut).Select(map => map.Weight.Name)];
        return new ModelFacts(
            model.Config,
            TypeOf(model.ScalarType),
            parameters.Sum(parameter => parameter.Value.numel()),
            parameters.Sum(parameter => parameter.Value.count_nonzero().item<long>()),
            parameters.Sum(parameter => parameter.Value.numel() * parameter.Value.ElementSize) + model.SparseBytes,
            model.Device.ToString(),
            [.. parameters
                .Select(parameter => new ParameterFacts(parameter.Name, parameter.Value.shape, LayerOf(parameter.Name), inOut.Contains(parameter.Name)))
                .OrderBy(parameter => parameter.Name, StringComparer.Ordinal)]);
    }

    private static IEnumerable<LinearWeights?> LinearMaps(BlockWeights block) =>
        [block.Attention.Qkv, block.Attention.Q, block.Attention.K, block.Attention.V, block.Attention.Out, block.Mlp.In, block.Mlp.Linear, block.Mlp.Out];

    /// <summary>The number in a key such as "model.layers.0.mlp.up_proj.weight".</summary>
    private static int? LayerOf(string name) =>
        name.Split('.').Select(part => int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out int layer) ? layer : (int?)null).FirstOrDefault(layer => layer is not null);

    private static TensorDataType TypeOf(ScalarType type) => type switch
    {
        ScalarType.Float32 => TensorDataType.Float32,
        ScalarType.BFloat16 => TensorDataType.BFloat16,
        ScalarType.Float64 => TensorDataType.Float64,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "No model computes in it."),
    };
}

/// <summary>A parameter.</summary>
/// <param name="Name">Its checkpoint key.</param>
/// <param name="Shape">Its shape as it is stored.</param>
/// <param name="Layer">Its layer; null if it belongs to none.</param>
/// <param name="IsInOut">Whether it is a matrix that is stored with its inputs first.</param>
internal sealed record ParameterFacts(string Name, IReadOnlyList<long> Shape, int? Layer, bool IsInOut);
