using Lab.Models;
using static TorchSharp.torch;

namespace Lab.CircuitAnalysis.Pruning;

/// <summary>A nonzero weight between two nodes.</summary>
internal readonly record struct WeightEdge(int Source, int Target, float Weight);

/// <summary>
/// The edges of a model: the nonzero entries of the matrices that join two sites (reads to q, k and v; v to attention's output;
/// MLP read to neurons; neurons to the MLP's output). The residual stream's own copying, biases, embeddings and the unembedding
/// are no edges.
/// </summary>
internal sealed class WeightGraph
{
    private readonly List<Matrix> _matrices = [];
    private readonly int _nodes;

    /// <summary>Copies the matrices to host memory.</summary>
    public WeightGraph(Transformer model, NodeLayout layout)
    {
        _nodes = layout.Count;
        for (int layer = 0; layer < layout.Layers; layer++)
        {
            BlockWeights weights = model.Weights.Blocks[layer];
            NodeSite read = layout[layer, SiteKind.AttnRead];
            float[] qkv = Host(weights.Attention.Qkv!.Weight.Value);                                                     // rows: q, k, v
            int block = qkv.Length / 3;
            foreach ((SiteKind kind, int part) in new[] { (SiteKind.Query, 0), (SiteKind.Key, 1), (SiteKind.Value, 2) })
                _matrices.Add(new Matrix(read, layout[layer, kind], qkv.AsMemory(part * block, block)));
            _matrices.Add(new Matrix(layout[layer, SiteKind.Value], layout[layer, SiteKind.AttnOut], Host(weights.Attention.Out.Weight.Value)));
            _matrices.Add(new Matrix(layout[layer, SiteKind.MlpRead], layout[layer, SiteKind.MlpPost], Host(weights.Mlp.In.Weight.Value)));
            _matrices.Add(new Matrix(layout[layer, SiteKind.MlpPost], layout[layer, SiteKind.MlpOut], Host(weights.Mlp.Out.Weight.Value)));
        }

        TotalEdges = CountEdges([.. Enumerable.Repeat(true, _nodes)]);
    }

    /// <summary>The edges of the whole model.</summary>
    public long TotalEdges { get; }

    public long CountEdges(bool[] kept) => _matrices.Sum(matrix => (long)matrix.Edges(kept).Count());

    /// <summary>The edges between kept nodes, matrix by matrix, by target and then source.</summary>
    public IEnumerable<WeightEdge> Edges(bool[] kept) => _matrices.SelectMany(matrix => matrix.Edges(kept));

    /// <summary>The edges that each kept node has with other kept nodes.</summary>
    public int[] Degrees(bool[] kept)
    {
        int[] degrees = new int[_nodes];
        foreach (WeightEdge edge in Edges(kept))
        {
            degrees[edge.Source]++;
            degrees[edge.Target]++;
        }

        return degrees;
    }

    /// <summary>
    /// The mask without nodes on no path: those that only matrices feed (q, k, v, neurons, outputs) but no kept node does, and
    /// those that only matrices read (reads, v, neurons) but no kept node does, over and over until none is left. Such a node
    /// can do no more than its biases do, but those may differ from its mean.
    /// </summary>
    public bool[] WithoutInert(bool[] kept)
    {
        bool[] result = [.. kept];
        bool changed = true;
        while (changed)
        {
            bool[] fed = new bool[_nodes], isRead = new bool[_nodes];
            foreach (WeightEdge edge in Edges(result)) fed[edge.Target] = isRead[edge.Source] = true;
            changed = false;
            foreach (NodeSite site in _matrices.SelectMany(matrix => new[] { matrix.Source, matrix.Target }).Distinct())
            {
                bool needsFeeding = site.Kind is not (SiteKind.AttnRead or SiteKind.MlpRead);
                bool needsReading = site.Kind is SiteKind.AttnRead or SiteKind.MlpRead or SiteKind.Value or SiteKind.MlpPost;
                for (int node = site.First; node < site.First + site.Count; node++)
                {
                    if (!result[node] || ((fed[node] || !needsFeeding) && (isRead[node] || !needsReading))) continue;
                    result[node] = false;
                    changed = true;
                }
            }
        }

        return result;
    }

    private static float[] Host(Tensor weight)
    {
        using Tensor host = weight.detach().cpu().contiguous();
        return host.data<float>().ToArray();
    }

    /// <summary>A [target, source] matrix.</summary>
    private sealed record Matrix(NodeSite Source, NodeSite Target, ReadOnlyMemory<float> Values)
    {
        public IEnumerable<WeightEdge> Edges(bool[] kept)
        {
            int[] sources = [.. Enumerable.Range(0, Source.Count).Where(channel => kept[Source.First + channel])];
            for (int row = 0; row < Target.Count; row++)
            {
                if (!kept[Target.First + row]) continue;
                foreach (int channel in sources)
                {
                    float weight = Values.Span[row * Source.Count + channel];
                    if (weight != 0) yield return new WeightEdge(Source.First + channel, Target.First + row, weight);
                }
            }
        }
    }
}
