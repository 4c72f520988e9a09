namespace Lab.Models;

/// <summary>The keys that a family's checkpoints have for each part of a layer, without "weight" or "bias".</summary>
/// <param name="Root">What stands before every key but the unembedding's: "transformer.", "model.", or nothing.</param>
/// <param name="Embed">The token embedding.</param>
/// <param name="PosEmbed">The position embedding.</param>
/// <param name="Layers">The list of layers.</param>
/// <param name="Ln1">The norm before attention.</param>
/// <param name="Attn">The attention module.</param>
/// <param name="AttnOut">Attention's output map, in its module.</param>
/// <param name="Ln1Post">The norm of what attention adds.</param>
/// <param name="Ln2">The norm before the MLP.</param>
/// <param name="MlpIn">The map to the neurons, or the gate.</param>
/// <param name="MlpOut">The map from the neurons.</param>
/// <param name="Ln2Post">The norm of what the MLP adds.</param>
/// <param name="LnFinal">The norm before the unembedding.</param>
internal sealed record ParameterNames(
    string Root,
    string Embed,
    string PosEmbed,
    string Layers,
    string Ln1,
    string Attn,
    string AttnOut,
    string Ln1Post,
    string Ln2,
    string MlpIn,
    string MlpOut,
    string Ln2Post,
    string LnFinal)
{
    /// <summary>The unembedding's key in every family.</summary>
    public const string Unembed = "lm_head";

    /// <summary>A family's names.</summary>
    /// <param name="family">The family.</param>
    /// <param name="root">What stands before the keys in this checkpoint; null for the family's usual.</param>
    public static ParameterNames Of(ModelFamily family, string? root = null) => family switch
    {
        ModelFamily.CircuitSparsity or ModelFamily.Gpt2 => new ParameterNames(
            root ?? "transformer.", "wte", "wpe", "h", "ln_1", "attn", "c_proj", "", "ln_2", "mlp.c_fc", "mlp.c_proj", "", "ln_f"),
        ModelFamily.Gemma3 => Llama(root) with { Ln1Post = "post_attention_layernorm", Ln2 = "pre_feedforward_layernorm", Ln2Post = "post_feedforward_layernorm" },
        _ => Llama(root),
    };

    /// <summary>A layer's module: "transformer.h.0".</summary>
    public string Layer(int layer) => $"{Root}{Layers}.{layer}";

    private static ParameterNames Llama(string? root) => new(
        root ?? "model.", "embed_tokens", "", "layers", "input_layernorm", "self_attn", "o_proj", "", "post_attention_layernorm", "mlp.gate_proj", "mlp.down_proj", "", "norm");
}
