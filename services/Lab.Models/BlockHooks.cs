using static Lab.Models.HookDimension;

namespace Lab.Models;

/// <summary>The hooks of one layer. Those that a model has not are null.</summary>
public sealed class BlockHooks
{
    internal BlockHooks(HookCatalog catalog, int layer, TransformerConfig config, HookAliases aliases)
    {
        HookPoint Add(string name, HookDimension[] dimensions, IReadOnlyList<string>? alias = null, IReadOnlyList<string>? readOnly = null) =>
            catalog.Add($"blocks.{layer}.{name}", layer, dimensions, alias ?? [], readOnlyAliases: readOnly);
        HookPoint OnRequest(string name, HookDimension[] dimensions, IReadOnlyList<string>? alias = null) =>
            catalog.Add($"blocks.{layer}.{name}", layer, dimensions, alias ?? [], isOnRequest: true);

        LayerAliases names = aliases.Layer(layer);
        HookDimension[] residual = [Batch, Pos, DModel], read = [Batch, Pos, DRead], scale = [Batch, Pos, One], neurons = [Batch, Pos, DMlp];
        HookDimension[] heads = [Batch, Pos, Head, DHead], shared = [Batch, Pos, KeyValueHead, DHead], attention = [Batch, Head, QueryPos, KeyPos];
        ResidPre = Add("hook_resid_pre", residual, names.ResidPre);
        if (config.HeadsPerKeyValue == 1) AttnIn = OnRequest("hook_attn_in", [Batch, Pos, Head, DModel]);
        QInput = OnRequest("hook_q_input", [Batch, Pos, Head, DModel]);
        KInput = OnRequest("hook_k_input", [Batch, Pos, KeyValueHead, DModel]);
        VInput = OnRequest("hook_v_input", [Batch, Pos, KeyValueHead, DModel]);
        Ln1 = new NormHooks(Add("ln1.hook_scale", scale), Add("ln1.hook_normalized", residual));
        AttnRead = Add("attn.hook_read", read, names.AttnRead, names.AttnReadOnly);
        Q = Add("attn.hook_q", heads, names.Q);
        K = Add("attn.hook_k", shared, names.K);
        V = Add("attn.hook_v", shared, names.V);
        if (config.Positions == PositionKind.Rotary)
        {
            RotQ = Add("attn.hook_rot_q", heads);
            RotK = Add("attn.hook_rot_k", shared);
        }

        AttnScores = OnRequest("attn.hook_attn_scores", attention);
        Pattern = OnRequest("attn.hook_pattern", attention, names.Pattern);
        Z = Add("attn.hook_z", heads, names.Z);
        Result = OnRequest("attn.hook_result", [Batch, Pos, Head, DModel]);
        if (config.SandwichNorms) Ln1Post = new NormHooks(Add("ln1_post.hook_scale", scale), Add("ln1_post.hook_normalized", residual));
        AttnOut = Add("hook_attn_out", residual, names.AttnOut);
        ResidMid = Add("hook_resid_mid", residual, names.ResidMid);
        MlpIn = Add("hook_mlp_in", residual);
        Ln2 = new NormHooks(Add("ln2.hook_scale", scale), Add("ln2.hook_normalized", residual));
        MlpRead = Add("mlp.hook_read", read, names.MlpRead, names.MlpReadOnly);
        MlpPre = Add("mlp.hook_pre", neurons, names.MlpPre);
        if (config.GatedMlp) MlpPreLinear = Add("mlp.hook_pre_linear", neurons, names.MlpPreLinear);
        MlpPost = Add("mlp.hook_post", neurons, names.MlpPost);
        if (config.SandwichNorms) Ln2Post = new NormHooks(Add("ln2_post.hook_scale", scale), Add("ln2_post.hook_normalized", residual));
        MlpOut = Add("hook_mlp_out", residual, names.MlpOut);
        ResidPost = Add("hook_resid_post", residual, names.ResidPost);
    }

    /// <summary>The residual stream before the layer.</summary>
    public HookPoint ResidPre { get; }

    /// <summary>
    /// The residual stream as each head of attention reads it, before the norm. On request. Not in models whose heads share keys:
    /// there queries and keys have different numbers of heads.
    /// </summary>
    public HookPoint? AttnIn { get; }

    /// <summary>The residual stream as each head's queries read it, before the norm. On request.</summary>
    public HookPoint QInput { get; }

    /// <summary>The residual stream as each head's keys read it, before the norm. On request.</summary>
    public HookPoint KInput { get; }

    /// <summary>The residual stream as each head's values read it, before the norm. On request.</summary>
    public HookPoint VInput { get; }

    /// <summary>The norm before attention.</summary>
    public NormHooks Ln1 { get; }

    /// <summary>What attention reads: the residual after norm, gain and AbsTopK, with concatenated positions.</summary>
    public HookPoint AttnRead { get; }

    /// <summary>Queries, after AbsTopK; before their norm and rotation.</summary>
    public HookPoint Q { get; }

    /// <summary>Keys, after AbsTopK; before their norm and rotation.</summary>
    public HookPoint K { get; }

    /// <summary>Values, after AbsTopK.</summary>
    public HookPoint V { get; }

    /// <summary>Queries after norm and rotation.</summary>
    public HookPoint? RotQ { get; }

    /// <summary>Keys after norm and rotation.</summary>
    public HookPoint? RotK { get; }

    /// <summary>Attention scores before the softmax: minus infinity where a query must not look. On request.</summary>
    public HookPoint AttnScores { get; }

    /// <summary>Attention probabilities. With a sink they sum to less than 1. On request.</summary>
    public HookPoint Pattern { get; }

    /// <summary>The heads' outputs before the output matrix.</summary>
    public HookPoint Z { get; }

    /// <summary>What each head adds, before the output bias, AbsTopK and post-norm. On request.</summary>
    public HookPoint Result { get; }

    /// <summary>The norm of what attention adds (Gemma).</summary>
    public NormHooks? Ln1Post { get; }

    /// <summary>What attention adds to the residual stream, after AbsTopK and post-norm.</summary>
    public HookPoint AttnOut { get; }

    /// <summary>The residual stream between attention and MLP.</summary>
    public HookPoint ResidMid { get; }

    /// <summary>The residual stream as the MLP reads it, before the norm: what is changed here does not stay in the stream.</summary>
    public HookPoint MlpIn { get; }

    /// <summary>The norm before the MLP.</summary>
    public NormHooks Ln2 { get; }

    /// <summary>What the MLP reads: the residual after norm, gain and AbsTopK, with concatenated positions.</summary>
    public HookPoint MlpRead { get; }

    /// <summary>Neurons before the nonlinearity; of a gated MLP the gate.</summary>
    public HookPoint MlpPre { get; }

    /// <summary>What the gate multiplies, in a gated MLP.</summary>
    public HookPoint? MlpPreLinear { get; }

    /// <summary>Neurons after nonlinearity, gating and AbsTopK.</summary>
    public HookPoint MlpPost { get; }

    /// <summary>The norm of what the MLP adds (Gemma).</summary>
    public NormHooks? Ln2Post { get; }

    /// <summary>What the MLP adds to the residual stream, after AbsTopK and post-norm.</summary>
    public HookPoint MlpOut { get; }

    /// <summary>The residual stream after the layer.</summary>
    public HookPoint ResidPost { get; }
}

/// <summary>The hooks of a norm.</summary>
/// <param name="Scale">What it divides by: [batch, pos, 1].</param>
/// <param name="Normalized">Its output before gain and bias.</param>
public sealed record NormHooks(HookPoint Scale, HookPoint Normalized);
