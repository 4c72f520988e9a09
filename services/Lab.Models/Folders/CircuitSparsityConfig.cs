namespace Lab.Models.Folders;

/// <summary>
/// openai/circuit_sparsity's beeg_config.json. Missing fields have the defaults of its GPTConfig; fields of training, of kernels
/// and of other versions are not read.
/// </summary>
internal static class CircuitSparsityConfig
{
    public const string FileName = "beeg_config.json";

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
            NormEpsilon = isRms ? TransformerConfig.MachineEpsilon : 1e-5,
            NormBias = !isRms && json.Flag("ln_bias", true),
            Positions = dPos > 0 ? PositionKind.Concatenated : PositionKind.Learned,
            DPos = dPos,
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
            FinalLogitsBias = hasTensor("final_logits_bias"),
        };
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
