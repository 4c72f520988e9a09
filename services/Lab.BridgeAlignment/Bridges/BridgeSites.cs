namespace Lab.BridgeAlignment.Bridges;

/// <summary>Where bridges stand: on the residual stream before each attention and each MLP, and after the last layer.</summary>
internal static class BridgeSites
{
    /// <summary>The 2 x layers + 1 hooks, in the order of the forward pass.</summary>
    public static IReadOnlyList<string> Of(int layers) =>
    [
        .. Enumerable.Range(0, layers).SelectMany(layer => new[] { $"blocks.{layer}.hook_resid_pre", $"blocks.{layer}.hook_resid_mid" }),
        $"blocks.{layers - 1}.hook_resid_post",
    ];
}
