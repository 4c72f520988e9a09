using Lab.Models;

namespace Lab.CircuitAnalysis.Pruning;

/// <summary>One site of one layer: its channels are the nodes from <paramref name="First"/> on.</summary>
/// <param name="Kind">Which of the eight.</param>
/// <param name="Hook">Where its activations are.</param>
/// <param name="First">The number of its channel 0 among all nodes.</param>
/// <param name="Count">Its channels; heads and their channels flattened at q, k and v.</param>
internal sealed record NodeSite(SiteKind Kind, HookPoint Hook, int First, int Count)
{
    /// <summary>The activation's dimensions after batch and position: [channels] or [head, d_head].</summary>
    public long[] ChannelShape { get; } = [.. Hook.Shape.Skip(2)];

    public int Layer => Hook.Layer;

    public bool HasHeads => ChannelShape.Length == 2;

    public string Id(int node) => $"{Hook.Name}:{node - First}";

    /// <summary>The head of a node at q, k or v; null elsewhere.</summary>
    public int? Head(int node) => HasHeads ? (node - First) / (int)ChannelShape[1] : null;
}
