namespace Lab.Gateway.Reports.Charts;

/// <summary>Where in a layer a hook is.</summary>
/// <param name="Order">Its column's place in the layer.</param>
/// <param name="Title">The column's heading.</param>
/// <param name="Group">Its group within the column: "q", "k", "v" or empty.</param>
/// <param name="Reads">Whether its channels are those of the residual stream, read.</param>
/// <param name="Writes">Whether its channels are those of the residual stream, written.</param>
internal sealed record Stage(int Order, string Title, string Group = "", bool Reads = false, bool Writes = false)
{
    private static readonly (string Suffix, Stage Stage)[] _known =
    [
        (".hook_resid_pre", new(0, "residual", Writes: true)),
        (".attn.hook_read", new(1, "attn read", Reads: true)),
        (".attn.hook_q", new(2, "q k v", "q")),
        (".attn.hook_k", new(2, "q k v", "k")),
        (".attn.hook_v", new(2, "q k v", "v")),
        (".attn.hook_z", new(3, "head out")),
        (".hook_attn_out", new(4, "attn write", Writes: true)),
        (".mlp.hook_read", new(5, "mlp read", Reads: true)),
        (".mlp.hook_pre", new(6, "neurons in")),
        (".mlp.hook_post", new(7, "neurons")),
        (".hook_mlp_out", new(8, "mlp write", Writes: true)),
        (".hook_resid_post", new(9, "residual", Reads: true)),
    ];

    private static readonly Stage _other = new(10, "other");

    public static Stage Of(string hook)
    {
        foreach ((string suffix, Stage stage) in _known)
        {
            if (hook.EndsWith(suffix, StringComparison.Ordinal)) return stage;
        }

        return hook.EndsWith("hook_embed", StringComparison.Ordinal) ? new Stage(-1, "embed", Writes: true) : _other;
    }
}
