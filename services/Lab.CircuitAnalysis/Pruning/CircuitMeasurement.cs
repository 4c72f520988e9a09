namespace Lab.CircuitAnalysis.Pruning;

/// <summary>What was measured of a circuit; each value is that of the same name in the proto's CircuitEvaluation.</summary>
internal sealed record CircuitMeasurement
{
    public required double TaskAccuracy { get; init; }

    public required double TaskLoss { get; init; }

    public required int Nodes { get; init; }

    public required int TotalNodes { get; init; }

    public required long Edges { get; init; }

    public required long TotalEdges { get; init; }

    public required double Loss { get; init; }

    public required double LossWithout { get; init; }

    public required double RandomLoss { get; init; }

    public required double RandomLossStddev { get; init; }

    public required double ZeroAblationLoss { get; init; }

    public required double CircuitAccuracy { get; init; }

    public required double TestLoss { get; init; }

    public required bool TargetReached { get; init; }
}
