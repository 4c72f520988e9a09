namespace Lab.Gateway.Reports;

/// <summary>A circuit as its artifact's circuit.json has it.</summary>
internal sealed record Circuit
{
    public string Task { get; init; } = "";

    public double TargetLoss { get; init; }

    public long Seed { get; init; }

    public CircuitMeasures Evaluation { get; init; } = new();

    public IReadOnlyList<CircuitNode> Nodes { get; init; } = [];

    /// <summary>The edges of greatest weight; <see cref="EdgesTotal"/> counts all.</summary>
    public IReadOnlyList<CircuitEdge> Edges { get; init; } = [];

    public long? EdgesTotal { get; init; }
}

/// <summary>A channel at a hook.</summary>
internal sealed record CircuitNode(string Id, string Hook, int Layer, string Site, int Channel, int? Head, double MaskLogit, double Importance, double Mean);

/// <summary>A nonzero weight between two nodes.</summary>
internal sealed record CircuitEdge(string Source, string Target, double Weight);

/// <summary>What was measured of a circuit: the fields of lab.circuit_analysis.v1.CircuitEvaluation.</summary>
internal sealed record CircuitMeasures
{
    public double? TaskAccuracy { get; init; }

    public double? TaskLoss { get; init; }

    public double? Nodes { get; init; }

    public double? TotalNodes { get; init; }

    public double? Edges { get; init; }

    public double? TotalEdges { get; init; }

    public double? Loss { get; init; }

    public double? LossWithout { get; init; }

    public double? RandomLoss { get; init; }

    public double? RandomLossStddev { get; init; }

    public double? ZeroAblationLoss { get; init; }

    public double? CircuitAccuracy { get; init; }

    public double? TestLoss { get; init; }

    public bool? TargetReached { get; init; }
}
