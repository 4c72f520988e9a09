using System.Text.Json;
using System.Text.Json.Nodes;

namespace Lab.Models.Folders;

/// <summary>
/// openai/circuit_sparsity's beeg_config.json. Missing fields have the defaults of its GPTConfig; fields of training, of kernels
/// and of other versions are not read.
/// </summary>
internal static class CircuitSparsityConfig
{
    public const string FileName = "beeg_config.json";

    /// <summary>torch's default of LayerNorm.</summary>
    private const double LayerNormEpsilon = 1e-5;

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, IndentSize = 1 };

    private static readonly Dictionary<string, AbsTopKSites> Sites = new(StringComparer.Ordinal)
    {
        ["attn_in"] = AbsTopKSites.AttnIn,
        ["attn_q"] = AbsTopKSites.AttnQ,
        ["attn_k"] = AbsTopKSites.AttnK,
        ["attn_v"] = AbsTopKSites.AttnV,
        ["attn_out"] = AbsTopKSites.AttnOut,
        ["mlp_in"] = AbsTopKSites.MlpIn,
        ["mlp_neuron"] = AbsTopKSites.MlpNeuron,
        ["mlp_out"] = AbsTopKSites.MlpOut,
        ["resid_post_attn"] = AbsTopKSites.ResidPostAttn,
        ["resid_post_mlp"] = AbsTopKSites.ResidPostMlp,
    };

    /// <summary>The architecture. Whether there are a sink and a logit bias is for the checkpoint to say.</summary>
    /// <param name="json">The config.</param>
    /// <param name="hasTensor">Whether the checkpoint has a tensor of this name.</param>
    public static TransformerConfig ToConfig(ConfigJson json, Func<string, bool> hasTensor)
    {
        if (json.Flag("use_tied_aux_matrix", false)) throw json.Unsupported("use_tied_aux_matrix", "is not supported");
        bool isRms = json.Flag("rms_norm", false), hasBias = json.Flag("bias", true);
        int dModel = json.IntOrNull("d_model") ?? json.Int("n_embd", 768), heads = json.Int("n_head", 12), dPos = json.Int("d_pos_emb", 0);
        bool hasSink = json.Flag("sink", false) && (json.Flag("flash", true) || hasTensor("transformer.h.0.attn.attn_imp.sink_logit"));
        if (heads < 1) throw json.Unsupported("n_head", $"must be positive, not {heads}");
        return new TransformerConfig
        {
            Family = ModelFamily.CircuitSparsity,
            NLayers = json.Int("n_layer", 12),
            DModel = dModel,
            NHeads = heads,
            DHead = json.IntOrNull("d_head") ?? dModel / heads,
            DMlp = json.IntOrNull("d_mlp") ?? json.IntOrNull("n_mlp") ?? 4 * dModel,
            DVocab = json.Int("vocab_size", 50304),
            NCtx = json.Int("block_size", 1024),
            Norm = isRms ? NormKind.Rms : NormKind.Layer,
            NormEpsilon = isRms ? TransformerConfig.MachineEpsilon : LayerNormEpsilon,
            NormBias = !isRms && json.Flag("ln_bias", true),
            Positions = dPos > 0 ? PositionKind.Concatenated : PositionKind.Learned,
            DPos = dPos,
            SinusoidalPositions = dPos > 0 && json.Flag("sinusoidal_cat_pos_emb", false),
            AttentionBias = hasBias,
            AttentionOutBias = hasBias,
            MlpBias = hasBias,
            AttentionSink = hasSink,
            Activation = json.Text("activation_type") switch
            {
                null or "gelu" => ActivationFunction.Gelu,
                "relu" => ActivationFunction.Relu,
                string other => throw json.Unsupported("activation_type", $"must be gelu or relu, not {other}"),
            },
            ResidualRelu = json.Text("residual_activation_type") switch
            {
                null or "identity" => false,
                "relu" => true,
                string other => throw json.Unsupported("residual_activation_type", $"must be identity or relu, not {other}"),
            },
            TiedUnembedding = json.Flag("tied_unembed", true),
            ActivationFraction = json.Number("afrac", 1),
            ActivationSites = SitesOf(json),
            BigramTable = json.Flag("enable_bigram_table", false),
            LearnedBigramTable = !json.Flag("enable_bigram_table", false) || json.Flag("learnable_bigram_table", false),
            FinalLogitsBias = hasTensor("final_logits_bias"),
        };
    }

    /// <summary>The file's text for an architecture, in the order of the fields of GPTConfig.</summary>
    /// <exception cref="ArgumentException">Their code has no such model. ParamName is the setting's JSON name.</exception>
    public static string ToJson(TransformerConfig config)
    {
        RequireTheirs(config);
        JsonObject json = new()
        {
            ["block_size"] = config.NCtx,
            ["vocab_size"] = config.DVocab,
            ["n_layer"] = config.NLayers,
            ["n_head"] = config.NHeads,
            ["d_head"] = config.DHead,
            ["d_model"] = config.DModel,
            ["dropout"] = JsonNode.Parse("0.0"),
            ["bias"] = config.MlpBias,
            ["ln_bias"] = config.Norm == NormKind.Rms || config.NormBias,
            ["rms_norm"] = config.Norm == NormKind.Rms,
            ["residual_activation_type"] = config.ResidualRelu ? "relu" : "identity",
            ["activation_type"] = config.Activation == ActivationFunction.Relu ? "relu" : "gelu",
            ["afrac"] = config.ActivationFraction < 1 ? config.ActivationFraction : null,
            ["afrac_loctypes"] = string.Join(',', Sites.Where(site => config.ActivationSites.HasFlag(site.Value)).Select(site => site.Key)),
            ["debug_nans"] = false,
            ["tied_unembed"] = config.TiedUnembedding,
            ["tokenizer_name"] = "lab",
            ["grad_checkpointing"] = false,
            ["d_mlp"] = config.DMlp,
            ["enable_bigram_table"] = config.BigramTable,
            ["learnable_bigram_table"] = config is { BigramTable: true, LearnedBigramTable: true },
            ["d_pos_emb"] = config.DPos > 0 ? config.DPos : null,
            ["dropout_cat_pos_emb"] = false,
            ["sinusoidal_cat_pos_emb"] = config.SinusoidalPositions,
            ["enable_sparse_kernels"] = false,
            ["flash"] = true,
            ["sink"] = config.AttentionSink,
            // Of no use, but their load_model insists on taking it out.
            ["bigram_table_rank"] = null,
        };
        return json.ToJsonString(Indented) + "\n";
    }

    private static void RequireTheirs(TransformerConfig config)
    {
        double epsilon = config.Norm == NormKind.Rms ? TransformerConfig.MachineEpsilon : LayerNormEpsilon;
        Require(config.Family == ModelFamily.CircuitSparsity, "family", $"must be {ModelFamily.CircuitSparsity}, not {config.Family}");
        Require(config.KeyValueHeads == config.NHeads, "n_key_value_heads", $"must be n_heads, {config.NHeads}, not {config.KeyValueHeads}");
        Require(config.DModel % config.NHeads == 0, "n_heads", $"must divide d_model, {config.DModel}; it is {config.NHeads}");
        Require(Math.Abs(config.NormEpsilon - epsilon) <= 1e-6 * epsilon, "eps", $"must be {epsilon}, not {config.NormEpsilon}");
        Require(config.NormGainOffset == 0, "norm_gain_offset", "must be 0");
        Require(!config.SandwichNorms, "use_normalization_before_and_after", "must be false");
        Require(!config.QkNorm, "use_qk_norm", "must be false");
        Require(config.Positions != PositionKind.Rotary, "positional_embedding_type", $"must not be {config.Positions}");
        Require(config.AttentionScale == 0 && !config.ScaleAttentionByLayer, "attn_scale", "must be 0");
        Require(config.LocalLayers.Count == 0, "local_layers", "must be empty");
        Require(config.AttentionBias == config.MlpBias && config.AttentionOutBias == config.MlpBias, "attn_bias", "must be as attn_out_bias and mlp_bias");
        Require(config.AttentionSoftCap == 0, "attn_scores_soft_cap", "must be 0");
        Require(config.LogitSoftCap == 0, "output_logits_soft_cap", "must be 0");
        Require(config.EmbeddingScale == 1, "embedding_scale", "must be 1");
        Require(config.Activation is ActivationFunction.Gelu or ActivationFunction.Relu, "act_fn", $"must be Gelu or Relu, not {config.Activation}");
        Require(!config.GatedMlp, "gated_mlp", "must be false");

        static void Require(bool holds, string name, string message)
        {
            if (!holds) throw new ArgumentException($"{name} {message}: openai/circuit_sparsity has no such model.", name);
        }
    }

    private static AbsTopKSites SitesOf(ConfigJson json)
    {
        AbsTopKSites sites = AbsTopKSites.None;
        foreach (string name in (json.Text("afrac_loctypes") ?? "attn_in,attn_out,mlp_in,mlp_out").Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            sites |= Sites.TryGetValue(name, out AbsTopKSites site) ? site
                : throw json.Unsupported("afrac_loctypes", $"names the site {name}; known are {string.Join(", ", Sites.Keys)}");
        }

        return sites;
    }
}
