using Lab.Models;
using static TorchSharp.torch;

namespace Lab.BridgeAlignment.Tests.Support;

internal static class TinyModels
{
    public static TransformerConfig Config(int width = 16, int layers = 2, int vocabulary = 257) => new()
    {
        NLayers = layers,
        DModel = width,
        NHeads = 2,
        DHead = 8,
        DMlp = 32,
        DVocab = vocabulary,
        NCtx = 16,
        Positions = PositionKind.Learned,
    };

    /// <summary>Random weights, large enough for the layers to matter.</summary>
    public static Transformer Create(TransformerConfig config, long seed)
    {
        TransformerWeights weights = TransformerWeights.Initialize(config, seed);
        foreach (NamedParameter parameter in weights.All.Where(parameter => parameter.Value.dim() > 1)) _ = parameter.Value.mul_(10);
        return new Transformer(config, weights);
    }

    /// <summary>The same function over a residual stream whose channel c is the original's channel order[c].</summary>
    public static Transformer Permute(Transformer model, long[] order)
    {
        using var scope = NewDisposeScope();
        Tensor index = tensor(order);
        Dictionary<string, Tensor> source = model.Weights.All.ToDictionary(parameter => parameter.Name, parameter => parameter.Value);
        return new Transformer(model.Config, new TransformerWeights(model.Config, (name, _) =>
        {
            Tensor value = source[name];
            bool writes = name.Contains("c_proj", StringComparison.Ordinal);
            bool inside = name.EndsWith("c_attn.bias", StringComparison.Ordinal) || name.EndsWith("c_fc.bias", StringComparison.Ordinal);
            return inside ? value.clone() : value.index_select(writes ? 0 : -1, index);
        }));
    }
}
