using Lab.Models;

namespace Lab.CircuitAnalysis.Pruning;

/// <summary>Numbers a model's nodes: layer by layer, site by site in the order of the forward pass, channel by channel.</summary>
internal sealed class NodeLayout
{
    private readonly NodeSite?[] _byHook;

    public NodeLayout(HookCatalog hooks)
    {
        List<NodeSite> sites = [];
        int first = 0;
        foreach (BlockHooks block in hooks.Blocks)
        {
            HookPoint[] points = [block.AttnRead, block.Q, block.K, block.V, block.AttnOut, block.MlpRead, block.MlpPost, block.MlpOut];
            for (int kind = 0; kind < points.Length; kind++)
            {
                int count = (int)points[kind].Shape.Skip(2).Aggregate(1L, (product, size) => product * size);
                sites.Add(new NodeSite((SiteKind)kind, points[kind], first, count));
                first += count;
            }
        }

        Sites = sites;
        Count = first;
        _byHook = new NodeSite?[hooks.All.Count];
        foreach (NodeSite site in sites) _byHook[site.Hook.Index] = site;
    }

    public IReadOnlyList<NodeSite> Sites { get; }

    /// <summary>All nodes of the model.</summary>
    public int Count { get; }

    public int Layers => Sites.Count / SiteKinds.Count;

    public NodeSite this[int layer, SiteKind kind] => Sites[layer * SiteKinds.Count + (int)kind];

    /// <summary>The site at a hook, or null where there are no nodes.</summary>
    public NodeSite? At(HookPoint hook) => _byHook[hook.Index];

    public NodeSite SiteOf(int node)
    {
        int low = 0, high = Sites.Count - 1;
        while (low < high)
        {
            int middle = (low + high + 1) / 2;
            if (Sites[middle].First <= node) low = middle;
            else high = middle - 1;
        }

        return Sites[low];
    }
}
