using System.Text.Json.Nodes;
using Google.Protobuf;
using Lab.CircuitAnalysis.Pruning;
using Lab.Protos.CircuitAnalysis.V1;

namespace Lab.CircuitAnalysis.Runs;

/// <summary>Core to proto.</summary>
internal static class PruningMapping
{
    private static JsonFormatter Formatter { get; } = new(JsonFormatter.Settings.Default.WithPreserveProtoFieldNames(true));

    public static CircuitEvaluation ToProto(this CircuitMeasurement m) => new()
    {
        TaskAccuracy = m.TaskAccuracy,
        TaskLoss = m.TaskLoss,
        Nodes = m.Nodes,
        TotalNodes = m.TotalNodes,
        Edges = m.Edges,
        TotalEdges = m.TotalEdges,
        Loss = m.Loss,
        LossWithout = m.LossWithout,
        RandomLoss = m.RandomLoss,
        RandomLossStddev = m.RandomLossStddev,
        ZeroAblationLoss = m.ZeroAblationLoss,
        CircuitAccuracy = m.CircuitAccuracy,
        TestLoss = m.TestLoss,
        TargetReached = m.TargetReached,
    };

    /// <summary>The metrics of a finished run.</summary>
    public static IEnumerable<KeyValuePair<string, double>> Metrics(this CircuitMeasurement m) => new Dictionary<string, double>
    {
        ["task_accuracy"] = m.TaskAccuracy,
        ["task_loss"] = m.TaskLoss,
        ["circuit.nodes"] = m.Nodes,
        ["circuit.total_nodes"] = m.TotalNodes,
        ["circuit.edges"] = m.Edges,
        ["circuit.total_edges"] = m.TotalEdges,
        ["circuit.loss"] = m.Loss,
        ["circuit.loss_without"] = m.LossWithout,
        ["circuit.random_loss"] = m.RandomLoss,
        ["circuit.random_loss_stddev"] = m.RandomLossStddev,
        ["circuit.zero_ablation_loss"] = m.ZeroAblationLoss,
        ["circuit.accuracy"] = m.CircuitAccuracy,
        ["circuit.test_loss"] = m.TestLoss,
        ["circuit.target_reached"] = m.TargetReached ? 1 : 0,
    };

    public static JsonObject ToJson(this PruningConfig config) => JsonNode.Parse(Formatter.Format(config))!.AsObject();
}
