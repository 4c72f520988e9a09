namespace Lab.Models;

/// <summary>
/// Other names of a model's hooks: TransformerLens's bridge ("blocks.0.hook_in"), circuit_sparsity ("0.resid_in") and Hugging Face's
/// modules ("model.layers.0.self_attn.o_proj.input", as nnsight writes them). Only names of exactly the same tensor; heads may be
/// flattened there. A change at "ln_2.input" or "post_attention_layernorm.input" is one of the residual stream between attention and
/// MLP, and stays in it; hook_mlp_in is what the norm alone reads.
/// </summary>
internal sealed class HookAliases(TransformerConfig config, ParameterNames names)
{
    private readonly bool _hasSparsity = config.ActivationFraction < 1;
    private readonly bool _isLlama = config.Family is not (ModelFamily.CircuitSparsity or ModelFamily.Gpt2);

    /// <summary>Modules as Hugging Face names them, whatever prefix the file has.</summary>
    private string Root => _isLlama ? "model." : "transformer.";

    /// <summary>A scaled embedding is none that a module gives.</summary>
    public IReadOnlyList<string> Embed => config.EmbeddingScale == 1 ? ["embed.hook_out", $"{Root}{names.Embed}.output"] : ["embed.hook_out"];

    public IReadOnlyList<string> PosEmbed => ["pos_embed.hook_out", $"{Root}{names.PosEmbed}.output"];

    public IReadOnlyList<string> UnembedIn => [$"{Root}{names.LnFinal}.output", "lm_head.input"];

    public IReadOnlyList<string> UnembedOut => config.BigramTable || config.FinalLogitsBias || config.LogitSoftCap > 0 ? [] : ["lm_head.output"];

    public LayerAliases Layer(int layer)
    {
        string bridge = $"blocks.{layer}", module = $"{Root}{names.Layers}.{layer}", attn = $"{module}.{names.Attn}";
        bool isSandwich = config.SandwichNorms, isLast = layer == config.NLayers - 1, hasSites = config.Family == ModelFamily.CircuitSparsity;
        bool readsNorm = !_hasSparsity && config.DPos == 0;
        string[] none = [];
        IReadOnlyList<string> Sites(string site, params string[] others) => hasSites ? [$"{layer}.{site}", .. others] : others;
        IReadOnlyList<string> Projection(string site, string name) =>
            Sites($"attn.{site}", _isLlama ? [$"{bridge}.attn.{site}.hook_out", $"{attn}.{name}.output"] : [$"{bridge}.attn.{site}.hook_out"]);
        IReadOnlyList<string> Final() => isLast ? (hasSites ? ["final_resid"] : []) : [];
        return new LayerAliases(
            ResidPre: Sites("resid_in", $"{bridge}.hook_in", $"{module}.input"),
            AttnRead: Sites("attn.act_in", [.. readsNorm ? [$"{module}.{names.Ln1}.output"] : none, .. _isLlama ? none : [$"{attn}.c_attn.input"]]),
            AttnReadOnly: _isLlama ? [.. new[] { "q_proj", "k_proj", "v_proj" }.Select(matrix => $"{attn}.{matrix}.input")] : none,
            Q: Projection("q", "q_proj"),
            K: Projection("k", "k_proj"),
            V: Projection("v", "v_proj"),
            Pattern: _isLlama ? [] : [$"{attn}.attn_dropout.input"],
            Z: Sites("attn.y", $"{bridge}.attn.o.hook_in", $"{attn}.{names.AttnOut}.input"),
            AttnOut: isSandwich
                ? [$"{bridge}.ln1_post.hook_out", $"{module}.{names.Ln1Post}.output"]
                : Sites("attn.resid_delta", $"{bridge}.attn.hook_out", $"{attn}.output"),
            ResidMid: Sites("resid_mid", $"{bridge}.ln2.hook_in", $"{module}.{names.Ln2}.input"),
            MlpRead: Sites("mlp.act_in", [.. readsNorm ? [$"{module}.{names.Ln2}.output", $"{module}.mlp.input"] : none, .. config.GatedMlp ? none : [$"{module}.{names.MlpIn}.input"]]),
            MlpReadOnly: config.GatedMlp ? [$"{module}.{names.MlpIn}.input", $"{module}.mlp.up_proj.input"] : none,
            MlpPre: [$"{module}.{names.MlpIn}.output"],
            MlpPreLinear: [$"{module}.mlp.up_proj.output"],
            MlpPost: Sites("mlp.post_act", $"{bridge}.mlp.out.hook_in", $"{module}.{names.MlpOut}.input"),
            MlpOut: isSandwich
                ? [$"{bridge}.ln2_post.hook_out", $"{module}.{names.Ln2Post}.output"]
                : Sites("mlp.resid_delta", $"{bridge}.mlp.hook_out", $"{module}.mlp.output"),
            ResidPost: [.. Final(), $"{bridge}.hook_out", $"{module}.output"]);
    }
}

/// <summary>The aliases of one layer's hooks.</summary>
internal sealed record LayerAliases(
    IReadOnlyList<string> ResidPre,
    IReadOnlyList<string> AttnRead,
    IReadOnlyList<string> AttnReadOnly,
    IReadOnlyList<string> Q,
    IReadOnlyList<string> K,
    IReadOnlyList<string> V,
    IReadOnlyList<string> Pattern,
    IReadOnlyList<string> Z,
    IReadOnlyList<string> AttnOut,
    IReadOnlyList<string> ResidMid,
    IReadOnlyList<string> MlpRead,
    IReadOnlyList<string> MlpReadOnly,
    IReadOnlyList<string> MlpPre,
    IReadOnlyList<string> MlpPreLinear,
    IReadOnlyList<string> MlpPost,
    IReadOnlyList<string> MlpOut,
    IReadOnlyList<string> ResidPost);
