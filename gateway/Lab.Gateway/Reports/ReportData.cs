using Lab.Artifacts;
using Lab.Protos.Experiment.V1;

namespace Lab.Gateway.Reports;

/// <summary>All that a report tells, read out of a run and the artifacts that its steps made.</summary>
internal sealed record ReportData(
    ExperimentRun Run,
    string Title,
    string Description,
    double WallSeconds,
    long? Seed,
    IReadOnlyList<KeyValuePair<string, double>> Metrics,
    IReadOnlyList<ReportArtifact> Artifacts,
    IReadOnlyList<Curve> Curves,
    IReadOnlyList<LabelledCircuit> Circuits,
    IReadOnlyList<Bridge> Bridges)
{
    /// <summary>The table of a sweep, or null.</summary>
    public SweepTable? Sweep { get; init; }

    /// <summary>The CSS class of a label's colour, the same in every chart.</summary>
    public string StyleOf(string label)
    {
        int index = Curves.Select(curve => curve.Label).Concat(Circuits.Select(circuit => circuit.Label)).Distinct()
            .TakeWhile(other => other != label).Count();
        return $"s{index % 6}";
    }
}

/// <summary>An artifact that the run made or used.</summary>
/// <param name="Stored">The artifact.</param>
/// <param name="Step">The ID of the step that gave it; null for one that was only used.</param>
internal sealed record ReportArtifact(StoredArtifact Stored, string? Step);

/// <summary>The loss curve of a model.</summary>
internal sealed record Curve(string Label, IReadOnlyList<CurvePoint> Points);

/// <summary>A point of a loss curve: lab.sparse_training.v1.TrainingPoint.</summary>
internal sealed record CurvePoint(long Step, double Loss, double? HeldOutLoss, double? L0Fraction);

/// <summary>A circuit with the label of the step that found it.</summary>
internal sealed record LabelledCircuit(string Label, Circuit Circuit);

/// <summary>How good a bridge is at each site.</summary>
internal sealed record Bridge(string Label, IReadOnlyList<BridgeSite> Sites);

/// <summary>One site of a bridge: lab.bridge_alignment.v1.SiteEvaluation.</summary>
internal sealed record BridgeSite(string Hook, double? EncoderNmse, double? DecoderNmse, double? KlDenseToSparse, double? KlSparseToDense);
