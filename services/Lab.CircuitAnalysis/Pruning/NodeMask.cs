using Lab.Models;
using static TorchSharp.torch;

namespace Lab.CircuitAnalysis.Pruning;

/// <summary>
/// Ablates nodes: x' = m x + (1 - m) mean at every site, m and mean the same at all positions of all rows. Differentiable in
/// m. A mask of ones changes no bit of the activations.
/// </summary>
internal sealed class NodeMask : IActivationTap
{
    private readonly NodeLayout _layout;
    private readonly Tensor _mask;
    private readonly Tensor _shift;

    /// <summary>A mask for forward passes inside of the current dispose scope.</summary>
    /// <param name="layout">The nodes.</param>
    /// <param name="mask">[nodes].</param>
    /// <param name="means">[nodes]: what a node with m = 0 becomes.</param>
    public NodeMask(NodeLayout layout, Tensor mask, Tensor means)
    {
        if (mask.numel() != layout.Count) throw new ArgumentException($"The mask has {mask.numel()} entries for {layout.Count} nodes.", nameof(mask));
        if (means.numel() != layout.Count) throw new ArgumentException($"There are {means.numel()} means for {layout.Count} nodes.", nameof(means));
        (_layout, _mask, _shift) = (layout, mask, (1 - mask) * means);
    }

    public bool Wants(HookPoint hook) => _layout.At(hook) is not null;

    public Tensor At(HookPoint hook, Tensor x)
    {
        NodeSite site = _layout.At(hook)!;
        Tensor mask = _mask.narrow(0, site.First, site.Count).view(site.ChannelShape);
        Tensor shift = _shift.narrow(0, site.First, site.Count).view(site.ChannelShape);
        return shift.addcmul(x, mask, 1);                                                          // (B, T, ...channels)
    }
}
