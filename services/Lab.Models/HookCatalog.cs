using static Lab.Models.HookDimension;

namespace Lab.Models;

/// <summary>
/// Every hook of a <see cref="Transformer"/>, in the order of the forward pass, with TransformerLens's names and, as aliases, those
/// of its bridge, of circuit_sparsity and of Hugging Face's modules. The two `hook_read` sites, what the matrices of attention and
/// MLP read after norm, gain and AbsTopK, are our own: no TransformerLens model has them.
/// </summary>
public sealed class HookCatalog
{
    private readonly List<HookPoint> _hooks = [];
    private readonly Dictionary<string, HookPoint> _byName = new(StringComparer.Ordinal);
    private readonly TransformerConfig _config;

    internal HookCatalog(TransformerConfig config, ParameterNames names)
    {
        _config = config;
        HookAliases aliases = new(config, names);
        Embed = Add("hook_embed", -1, [Batch, Pos, DModel], aliases.Embed);
        if (config.Positions is PositionKind.Learned or PositionKind.Concatenated)
            PosEmbed = Add("hook_pos_embed", -1, [Batch, Pos, config.DPos > 0 ? DPos : DModel], aliases.PosEmbed);
        Blocks = [.. Enumerable.Range(0, config.NLayers).Select(layer => new BlockHooks(this, layer, config, aliases))];
        FinalScale = Add("ln_final.hook_scale", -1, [Batch, Pos, One], []);
        FinalNormalized = Add("ln_final.hook_normalized", -1, [Batch, Pos, DModel], []);
        UnembedIn = Add("unembed.hook_in", -1, [Batch, Pos, DModel], aliases.UnembedIn);
        UnembedOut = Add("unembed.hook_out", -1, [Batch, Pos, DVocab], aliases.UnembedOut);
    }

    /// <summary>The hooks that a model of this config has, under the keys that its family usually has.</summary>
    public static HookCatalog Of(TransformerConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        return new HookCatalog(config, ParameterNames.Of(config.Family, null));
    }

    /// <summary>All hooks, in the order of the forward pass.</summary>
    public IReadOnlyList<HookPoint> All => _hooks;

    /// <summary>Token embeddings.</summary>
    public HookPoint Embed { get; }

    /// <summary>Position embeddings, where the model has them.</summary>
    public HookPoint? PosEmbed { get; }

    /// <summary>The hooks of each layer.</summary>
    public IReadOnlyList<BlockHooks> Blocks { get; }

    /// <summary>What the final norm divides by.</summary>
    public HookPoint FinalScale { get; }

    /// <summary>The final residual after its norm, before the gain.</summary>
    public HookPoint FinalNormalized { get; }

    /// <summary>What the unembedding reads: after the final norm's gain.</summary>
    public HookPoint UnembedIn { get; }

    /// <summary>The logits.</summary>
    public HookPoint UnembedOut { get; }

    /// <summary>The model that has them.</summary>
    internal TransformerConfig Config => _config;

    /// <summary>Finds a hook by its name or an alias.</summary>
    public HookPoint? Find(string nameOrAlias) => _byName.GetValueOrDefault(nameOrAlias);

    internal HookPoint Add(string name, int layer, HookDimension[] dimensions, IReadOnlyList<string> aliases, bool isOnRequest = false, IReadOnlyList<string>? readOnlyAliases = null)
    {
        bool isShared = dimensions.Contains(KeyValueHead);
        long[] shape = [.. dimensions.Select(dimension => dimension switch
        {
            Head => _config.NHeads,
            KeyValueHead => _config.KeyValueHeads,
            DHead => _config.DHead,
            DModel => _config.DModel,
            DRead => _config.DRead,
            DPos => _config.DPos,
            DMlp => _config.DMlp,
            DVocab => _config.DVocab,
            One => 1,
            _ => -1L,
        })];
        HookPoint hook = new(name, layer, [.. dimensions.Select(dimension => dimension == KeyValueHead ? Head : dimension)], shape, [.. aliases, .. readOnlyAliases ?? []], _hooks.Count)
        {
            IsOnRequest = isOnRequest,
            ReadOnlyAliases = readOnlyAliases ?? [],
            HasSharedHeads = isShared,
            Window = layer < 0 ? int.MaxValue : _config.WindowOf(layer),
        };
        _hooks.Add(hook);
        _byName.Add(name, hook);
        foreach (string alias in hook.Aliases) _byName.Add(alias, hook);
        return hook;
    }
}
