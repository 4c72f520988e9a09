using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Lab.Protos.Experiment.V1;

namespace Lab.Gateway.Reports;

/// <summary>Writes report.json: what a program reads of a run.</summary>
internal static class ReportJson
{
    public static readonly JsonSerializerOptions Readable = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static string Write(ReportData data) => new JsonObject
    {
        ["experiment"] = data.Run.Experiment,
        ["title"] = data.Title,
        ["run"] = data.Run.Name,
        ["seed"] = data.Seed,
        ["wall_seconds"] = Math.Round(data.WallSeconds, 3),
        ["parameters"] = Node(data.Run.Parameters),
        ["metrics"] = new JsonObject(data.Metrics.Select(metric => KeyValuePair.Create(metric.Key, (JsonNode?)Number(metric.Value)))),
        ["sweep"] = data.Sweep is null ? null : Sweep(data.Sweep),
        ["steps"] = new JsonArray([.. data.Run.Steps.Select(Step)]),
        ["artifacts"] = new JsonArray([.. data.Artifacts.Select(Artifact)]),
    }.ToJsonString(Readable) + "\n";

    private static JsonObject Sweep(SweepTable sweep) => new()
    {
        ["columns"] = new JsonArray([.. sweep.Columns.Select(column => JsonValue.Create(column))]),
        ["rows"] = new JsonArray([.. sweep.Rows.Select(row => new JsonObject
        {
            ["key"] = row.Key,
            ["values"] = new JsonObject(sweep.Columns.Select(column => KeyValuePair.Create(column, (JsonNode?)(row.Values[column] is { } value ? Number(value) : null)))),
        })]),
    };

    private static JsonObject Step(StepRun step) => new()
    {
        ["id"] = step.Id,
        ["operation"] = step.Operation,
        ["seconds"] = Math.Round(StepTimes.Seconds(step), 3),
        ["cached"] = step.Cached,
        ["outputs"] = Node(step.Outputs),
    };

    private static JsonObject Artifact(ReportArtifact artifact) => new()
    {
        ["digest"] = artifact.Stored.Digest,
        ["kind"] = artifact.Stored.Kind,
        ["names"] = new JsonArray([.. artifact.Stored.Names.Select(name => JsonValue.Create(name))]),
        ["step"] = artifact.Step,
        ["maker"] = artifact.Stored.Provenance.Maker,
        ["inputs"] = new JsonObject(artifact.Stored.Provenance.Inputs.Select(input => KeyValuePair.Create(input.Key, (JsonNode?)input.Value))),
        ["seed"] = artifact.Stored.Provenance.Seed,
        ["size_bytes"] = artifact.Stored.Files.Sum(file => file.SizeBytes),
        ["create_time"] = artifact.Stored.CreateTime.ToString("O"),
        ["code_version"] = artifact.Stored.Provenance.CodeVersion,
        ["machine"] = artifact.Stored.Provenance.Machine,
    };

    /// <summary>JSON has no NaN and no infinities: these are null.</summary>
    private static JsonValue? Number(double value) => double.IsFinite(value) ? JsonValue.Create(value) : null;

    private static JsonNode Node(Struct? value) => value is null ? new JsonObject() : JsonNode.Parse(JsonFormatter.Default.Format(value))!;
}
