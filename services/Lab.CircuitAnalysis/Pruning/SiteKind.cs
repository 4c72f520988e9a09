namespace Lab.CircuitAnalysis.Pruning;

/// <summary>The eight sites of a layer whose channels are nodes, in the order of the forward pass (Gao et al. 2025, A.5).</summary>
internal enum SiteKind
{
    AttnRead,
    Query,
    Key,
    Value,
    AttnOut,
    MlpRead,
    MlpPost,
    MlpOut,
}

/// <summary>The names of sites in circuit.json.</summary>
internal static class SiteKinds
{
    public const int Count = 8;

    public static string Name(this SiteKind kind) => kind switch
    {
        SiteKind.AttnRead => "attn.read",
        SiteKind.Query => "attn.q",
        SiteKind.Key => "attn.k",
        SiteKind.Value => "attn.v",
        SiteKind.AttnOut => "attn.out",
        SiteKind.MlpRead => "mlp.read",
        SiteKind.MlpPost => "mlp.post",
        _ => "mlp.out",
    };
}
