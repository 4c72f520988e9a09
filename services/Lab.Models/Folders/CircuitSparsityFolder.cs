using Lab.Models.Checkpoints;
using static TorchSharp.torch;

namespace Lab.Models.Folders;

/// <summary>Models as openai/circuit_sparsity keeps them: beeg_config.json and final_model.pt, to be read by its code.</summary>
public static class CircuitSparsityFolder
{
    /// <summary>The config's file name.</summary>
    public const string ConfigFile = CircuitSparsityConfig.FileName;

    /// <summary>The weights' file name.</summary>
    public const string WeightsFile = Checkpoint.PickleFileName;

    /// <summary>
    /// Writes both files into a folder. What their layout always has and the model has not is written as zeros: position embeddings
    /// and the logits' bias. Equal models give equal bytes.
    /// </summary>
    /// <param name="model">The model; neither changed nor disposed.</param>
    /// <param name="folder">The folder, which must exist.</param>
    /// <exception cref="ArgumentException">Their code has no such model. ParamName is the setting's JSON name.</exception>
    public static void Save(Transformer model, string folder)
    {
        string json = CircuitSparsityConfig.ToJson(model.Config);
        using var scope = NewDisposeScope();
        StateDictionaryWriter.Write(Path.Combine(folder, WeightsFile), [.. Tensors(model)], [.. Modules(model.Config)]);
        File.WriteAllText(Path.Combine(folder, ConfigFile), json);
    }

    /// <summary>The entries of their state dictionary in its order: of each module its parameters, its buffers, and its modules.</summary>
    private static IEnumerable<NamedParameter> Tensors(Transformer model)
    {
        (TransformerConfig config, TransformerWeights weights) = (model.Config, model.Weights);
        NamedParameter logitsBias = weights.FinalLogitsBias ?? Zeros("final_logits_bias", config.DVocab);
        // A bigram table that is not trained is a buffer, and that of the logits' bias is older.
        NamedParameter?[] own = config.LearnedBigramTable ? [weights.Bigram, logitsBias] : [logitsBias, weights.Bigram];
        IEnumerable<NamedParameter?> all =
        [
            .. own,
            weights.TokenEmbedding,
            weights.PositionEmbedding ?? Zeros("transformer.wpe.weight", config.NCtx, config.DModel),
            .. weights.Blocks.SelectMany(Block),
            .. Norm(weights.LnFinal),
            weights.Unembedding with { Name = $"{ParameterNames.Unembed}.weight" },
        ];
        return all.OfType<NamedParameter>();

        NamedParameter Zeros(string name, params long[] shape) => new(name, zeros(shape, dtype: model.ScalarType));
    }

    private static IEnumerable<NamedParameter?> Block(BlockWeights block) =>
    [
        .. Norm(block.Ln1),
        .. Linear(block.Attention.Qkv),
        .. Linear(block.Attention.Out),
        block.Attention.SinkLogit,
        .. Norm(block.Ln2),
        .. Linear(block.Mlp.In),
        .. Linear(block.Mlp.Out),
        .. Norm(block.PositionNorm1),
        .. Norm(block.PositionNorm2),
    ];

    private static NamedParameter?[] Norm(NormWeights? norm) => [norm?.Gain, norm?.Bias];

    private static NamedParameter?[] Linear(LinearWeights? map) => [map?.Weight, map?.Bias];

    /// <summary>The paths of their modules, those without parameters included.</summary>
    private static IEnumerable<string> Modules(TransformerConfig config)
    {
        string[] attention = ["", ".c_attn", ".c_proj", ".attn_dropout", ".resid_dropout", .. config.AttentionSink ? (string[])[".attn_imp"] : []];
        string[] mlp = ["", ".c_fc", ".act_fn", ".c_proj", ".dropout"];
        string[] block = ["", ".ln_1", .. attention.Select(part => ".attn" + part), ".ln_2", .. mlp.Select(part => ".mlp" + part), .. config.DPos > 0 ? (string[])[".ln_p1", ".ln_p2"] : []];
        IEnumerable<string> blocks = Enumerable.Range(0, config.NLayers).SelectMany(layer => block.Select(part => $".h.{layer}{part}"));
        string[] decoder = ["", ".wte", ".wpe", ".drop", ".h", .. blocks, ".ln_f"];
        return ["", .. decoder.Select(part => "transformer" + part), ParameterNames.Unembed];
    }
}
