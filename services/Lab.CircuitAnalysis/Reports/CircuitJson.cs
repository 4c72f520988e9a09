using System.Text.Encodings.Web;
using System.Text.Json;
using Lab.CircuitAnalysis.Pruning;

namespace Lab.CircuitAnalysis.Reports;

/// <summary>What a circuit was asked of, for its file's first lines.</summary>
internal sealed record CircuitHeader(string Task, string Model, string Corpus, double TargetLoss, long Seed);

/// <summary>Writes circuit.json. Equal circuits give equal bytes: no times, no random IDs, a fixed order.</summary>
internal static class CircuitJson
{
    private static readonly JsonWriterOptions _options = new() { Indented = true, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static void Write(Stream stream, CircuitHeader header, Circuit circuit)
    {
        using Utf8JsonWriter json = new(stream, _options);
        json.WriteStartObject();
        json.WriteString("task", header.Task);
        json.WriteString("model", header.Model);
        json.WriteString("corpus", header.Corpus);
        json.WriteNumber("target_loss", header.TargetLoss);
        json.WriteNumber("seed", header.Seed);
        WriteEvaluation(json, circuit.Measurement);
        json.WriteStartArray("nodes");
        foreach (CircuitNode node in circuit.Nodes) WriteNode(json, node);
        json.WriteEndArray();
        json.WriteNumber("edges_total", circuit.Measurement.Edges);
        json.WriteStartArray("edges");
        foreach (CircuitEdge edge in circuit.Edges)
        {
            json.WriteStartObject();
            json.WriteString("source", edge.Source);
            json.WriteString("target", edge.Target);
            json.WriteNumber("weight", edge.Weight);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
        json.Flush();
        stream.WriteByte((byte)'\n');
    }

    private static void WriteEvaluation(Utf8JsonWriter json, CircuitMeasurement m)
    {
        json.WriteStartObject("evaluation");
        json.WriteNumber("task_accuracy", m.TaskAccuracy);
        json.WriteNumber("task_loss", m.TaskLoss);
        json.WriteNumber("nodes", m.Nodes);
        json.WriteNumber("total_nodes", m.TotalNodes);
        json.WriteNumber("edges", m.Edges);
        json.WriteNumber("total_edges", m.TotalEdges);
        json.WriteNumber("loss", m.Loss);
        json.WriteNumber("loss_without", m.LossWithout);
        json.WriteNumber("random_loss", m.RandomLoss);
        json.WriteNumber("random_loss_stddev", m.RandomLossStddev);
        json.WriteNumber("zero_ablation_loss", m.ZeroAblationLoss);
        json.WriteNumber("circuit_accuracy", m.CircuitAccuracy);
        json.WriteNumber("test_loss", m.TestLoss);
        json.WriteBoolean("target_reached", m.TargetReached);
        json.WriteEndObject();
    }

    private static void WriteNode(Utf8JsonWriter json, CircuitNode node)
    {
        json.WriteStartObject();
        json.WriteString("id", node.Id);
        json.WriteString("hook", node.Site.Hook.Name);
        json.WriteNumber("layer", node.Site.Layer);
        json.WriteString("site", node.Site.Kind.Name());
        json.WriteNumber("channel", node.Channel);
        if (node.Head is { } head) json.WriteNumber("head", head);
        else json.WriteNull("head");
        json.WriteNumber("mask_logit", node.MaskLogit);
        json.WriteNumber("importance", (float)node.Importance);
        json.WriteNumber("mean", node.Mean);
        json.WriteEndObject();
    }
}
