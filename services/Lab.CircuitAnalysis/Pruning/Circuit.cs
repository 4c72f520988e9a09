namespace Lab.CircuitAnalysis.Pruning;

/// <summary>A circuit as it is stored.</summary>
/// <param name="Measurement">What was measured of it.</param>
/// <param name="Nodes">In the order of the forward pass.</param>
/// <param name="Edges">Between its nodes, by falling magnitude; at most <see cref="MostEdges"/>. The measurement has the count of all.</param>
internal sealed record Circuit(CircuitMeasurement Measurement, IReadOnlyList<CircuitNode> Nodes, IReadOnlyList<CircuitEdge> Edges)
{
    public const int MostEdges = 5000;
}

/// <summary>A node of a circuit.</summary>
/// <param name="Id">"blocks.0.mlp.hook_post:17".</param>
/// <param name="Site">Where.</param>
/// <param name="Channel">The channel; heads flattened at q, k and v.</param>
/// <param name="Head">The head at q, k and v.</param>
/// <param name="MaskLogit">What the search learned for it.</param>
/// <param name="Importance">The rise of the circuit's loss when it is ablated.</param>
/// <param name="Mean">What it becomes when it is ablated.</param>
internal sealed record CircuitNode(string Id, NodeSite Site, int Channel, int? Head, float MaskLogit, double Importance, float Mean);

/// <summary>A nonzero weight between two nodes, by their IDs.</summary>
internal sealed record CircuitEdge(string Source, string Target, float Weight);
