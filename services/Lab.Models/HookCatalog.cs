using static Lab.Models.HookDimension;

namespace Lab.Models;

/// <summary>
/// Every hook of a <see cref="Gpt"/>, in the order of the forward pass, with TransformerLens's names and, as aliases,
/// circuit_sparsity's. The two `hook_read` sites, the normed and AbsTopK'd inputs of attention and MLP, are our own: no
/// TransformerLens model has them.
/// </summary>
public sealed class HookCatalog
{
    private readonly List<HookPoint> _hooks = [];
    private readonly Dictionary<string, HookPoint> _byName = new(StringComparer.Ordinal);

    internal HookCatalog(GptConfig config)
    {
        Embed = Add("hook_embed", -1, [Batch, Pos, DModel], config);
        PosEmbed = config.PositionEmbedding ? Add("hook_pos_embed", -1, [Batch, Pos, DModel], config) : null;
        Blocks = [.. Enumerable.Range(0, config.NLayers).Select(layer => new BlockHooks(this, layer, config))];
        FinalNormalized = Add("ln_final.hook_normalized", -1, [Batch, Pos, DModel], config);
    }

    /// <summary>All hooks, in the order of the forward pass.</summary>
    public IReadOnlyList<HookPoint> All => _hooks;

    /// <summary>Token embeddings.</summary>
    public HookPoint Embed { get; }

    /// <summary>Position embeddings, where the model has them.</summary>
    public HookPoint? PosEmbed { get; }

    /// <summary>The hooks of each layer.</summary>
    public IReadOnlyList<BlockHooks> Blocks { get; }

    /// <summary>The final residual after RMSNorm, before its gain.</summary>
    public HookPoint FinalNormalized { get; }

    /// <summary>Finds a hook by its name or an alias.</summary>
    public HookPoint? Find(string nameOrAlias) => _byName.GetValueOrDefault(nameOrAlias);

    internal HookPoint Add(string name, int layer, HookDimension[] dimensions, GptConfig config, params string[] aliases)
    {
        long[] shape = [.. dimensions.Select(dimension => dimension switch
        {
            Head => config.NHeads,
            DHead => config.DHead,
            DModel => config.DModel,
            DMlp => config.DMlp,
            _ => -1L,
        })];
        HookPoint hook = new(name, layer, dimensions, shape, aliases, _hooks.Count);
        _hooks.Add(hook);
        _byName.Add(name, hook);
        foreach (string alias in aliases) _byName.Add(alias, hook);
        return hook;
    }
}

/// <summary>The hooks of one layer.</summary>
public sealed class BlockHooks
{
    internal BlockHooks(HookCatalog catalog, int layer, GptConfig config)
    {
        HookPoint Add(string name, HookDimension[] dimensions, params string[] aliases) =>
            catalog.Add($"blocks.{layer}.{name}", layer, dimensions, config, aliases);

        HookDimension[] residual = [Batch, Pos, DModel], heads = [Batch, Pos, Head, DHead], attention = [Batch, Head, QueryPos, KeyPos], neurons = [Batch, Pos, DMlp];
        ResidPre = Add("hook_resid_pre", residual, $"{layer}.resid_in");
        AttnRead = Add("attn.hook_read", residual, $"{layer}.attn.act_in");
        Q = Add("attn.hook_q", heads, $"{layer}.attn.q");
        K = Add("attn.hook_k", heads, $"{layer}.attn.k");
        V = Add("attn.hook_v", heads, $"{layer}.attn.v");
        AttnScores = Add("attn.hook_attn_scores", attention);
        Pattern = Add("attn.hook_pattern", attention);
        Z = Add("attn.hook_z", heads, $"{layer}.attn.y");
        AttnOut = Add("hook_attn_out", residual, $"{layer}.attn.resid_delta");
        ResidMid = Add("hook_resid_mid", residual, $"{layer}.resid_mid");
        MlpRead = Add("mlp.hook_read", residual, $"{layer}.mlp.act_in");
        MlpPre = Add("mlp.hook_pre", neurons);
        MlpPost = Add("mlp.hook_post", neurons, $"{layer}.mlp.post_act");
        MlpOut = Add("hook_mlp_out", residual, $"{layer}.mlp.resid_delta");
        ResidPost = layer == config.NLayers - 1 ? Add("hook_resid_post", residual, "final_resid") : Add("hook_resid_post", residual);
    }

    /// <summary>The residual stream before the layer.</summary>
    public HookPoint ResidPre { get; }

    /// <summary>What attention reads: the residual after RMSNorm, gain and AbsTopK.</summary>
    public HookPoint AttnRead { get; }

    /// <summary>Queries, after AbsTopK.</summary>
    public HookPoint Q { get; }

    /// <summary>Keys, after AbsTopK.</summary>
    public HookPoint K { get; }

    /// <summary>Values, after AbsTopK.</summary>
    public HookPoint V { get; }

    /// <summary>Attention scores before the softmax: minus infinity above the diagonal.</summary>
    public HookPoint AttnScores { get; }

    /// <summary>Attention probabilities. With a sink they sum to less than 1.</summary>
    public HookPoint Pattern { get; }

    /// <summary>The heads' outputs before the output matrix.</summary>
    public HookPoint Z { get; }

    /// <summary>What attention adds to the residual stream, after AbsTopK.</summary>
    public HookPoint AttnOut { get; }

    /// <summary>The residual stream between attention and MLP.</summary>
    public HookPoint ResidMid { get; }

    /// <summary>What the MLP reads: the residual after RMSNorm, gain and AbsTopK.</summary>
    public HookPoint MlpRead { get; }

    /// <summary>Neurons before the GELU.</summary>
    public HookPoint MlpPre { get; }

    /// <summary>Neurons after GELU and AbsTopK.</summary>
    public HookPoint MlpPost { get; }

    /// <summary>What the MLP adds to the residual stream, after AbsTopK.</summary>
    public HookPoint MlpOut { get; }

    /// <summary>The residual stream after the layer.</summary>
    public HookPoint ResidPost { get; }
}
