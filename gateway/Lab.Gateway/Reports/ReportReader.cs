using System.Text.Json;
using System.Text.Json.Serialization;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Lab.Artifacts;
using Lab.Gateway.Definitions;
using Lab.Protos.Experiment.V1;

namespace Lab.Gateway.Reports;

/// <summary>Reads what a report tells out of a run and the artifacts that its steps gave.</summary>
internal sealed class ReportReader(ArtifactStore store, TimeProvider time)
{
    private static readonly JsonSerializerOptions _json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        NumberHandling = JsonNumberHandling.AllowReadingFromString | JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    public async Task<ReportData> ReadAsync(ExperimentRun run, ExperimentDefinition definition, CancellationToken cancellationToken)
    {
        IReadOnlyList<ReportArtifact> artifacts = await ReadArtifactsAsync(run, cancellationToken);
        KeyValuePair<string, double>[] metrics =
            [.. definition.Report.Metrics.Keys.Where(run.Status.Metrics.ContainsKey).Select(name => KeyValuePair.Create(name, run.Status.Metrics[name]))];
        List<string> labels = [.. MetricTable.Of(metrics).Labels];
        return new ReportData(
            run,
            definition.Report.Title,
            definition.Description,
            WallSeconds(run),
            run.Parameters?.Fields.TryGetValue("seed", out Value? seed) == true && seed.HasNumberValue ? (long)seed.NumberValue : null,
            metrics,
            artifacts,
            [.. ReadLists<CurvePoint>(run, "curve").Select(curve => new Curve(curve.Label, curve.Items)).OrderBy(curve => Place(curve.Label, labels))],
            [.. (await ReadCircuitsAsync(artifacts, cancellationToken)).OrderBy(circuit => Place(circuit.Label, labels))],
            [.. ReadLists<BridgeSite>(run, "sites").Select(sites => new Bridge(sites.Label, sites.Items))])
        {
            Sweep = SweepTable.Of(run, definition.Report.Sweep),
        };
    }

    /// <summary>Labels stand in the order of the metrics everywhere; others come after them, in the order of the steps.</summary>
    private static int Place(string label, List<string> labels) => labels.IndexOf(label) is int i and >= 0 ? i : labels.Count;

    /// <summary>From when work on the run began until now, in seconds.</summary>
    private double WallSeconds(ExperimentRun run)
    {
        DateTimeOffset end = run.Status.EndTime?.ToDateTimeOffset() ?? time.GetUtcNow();
        return run.Status.StartTime is Timestamp start ? Math.Max(0, (end - start.ToDateTimeOffset()).TotalSeconds) : 0;
    }

    /// <summary>The artifacts that the steps' outputs name, then those that these were made from, however far back.</summary>
    private async Task<IReadOnlyList<ReportArtifact>> ReadArtifactsAsync(ExperimentRun run, CancellationToken cancellationToken)
    {
        var found = new Dictionary<string, ReportArtifact>(StringComparer.Ordinal);
        var pending = new Queue<(string Digest, string? Step)>(
            run.Steps.SelectMany(step => StepDigests.Outputs(step).Select(digest => (digest, (string?)step.Id))));
        while (pending.TryDequeue(out (string Digest, string? Step) next))
        {
            if (found.ContainsKey(next.Digest) || await store.FindAsync(next.Digest, cancellationToken) is not StoredArtifact artifact) continue;
            found[next.Digest] = new ReportArtifact(artifact, next.Step);
            foreach (string input in artifact.Provenance.Inputs.Values) pending.Enqueue((input, null));
        }

        return [.. found.Values];
    }

    private async Task<IReadOnlyList<LabelledCircuit>> ReadCircuitsAsync(IReadOnlyList<ReportArtifact> artifacts, CancellationToken cancellationToken)
    {
        var circuits = new List<LabelledCircuit>();
        foreach ((StoredArtifact stored, string? step) in artifacts.Where(artifact => artifact.Stored.Kind == "circuit" && artifact.Step is not null))
        {
            string path = store.GetPath(stored, "circuit.json");
            await using FileStream stream = File.OpenRead(path);
            Circuit circuit = await ParseAsync<Circuit>(stream, path, cancellationToken);
            circuits.Add(new LabelledCircuit(StepLabels.Of(step!), circuit));
        }

        return circuits;
    }

    private static async Task<T> ParseAsync<T>(Stream stream, string path, CancellationToken cancellationToken)
    {
        try
        {
            return await JsonSerializer.DeserializeAsync<T>(stream, _json, cancellationToken)
                ?? throw new InvalidDataException($"{path} is empty.");
        }
        catch (JsonException fault)
        {
            throw new InvalidDataException($"{path} does not have the expected form: {fault.Message}", fault);
        }
    }

    /// <summary>The steps whose outputs have a list of this name.</summary>
    private static IEnumerable<(string Label, IReadOnlyList<T> Items)> ReadLists<T>(ExperimentRun run, string output)
    {
        foreach (StepRun step in run.Steps)
        {
            if (step.Outputs?.Fields.TryGetValue(output, out Value? list) != true || list!.KindCase != Value.KindOneofCase.ListValue) continue;
            T[] items = JsonSerializer.Deserialize<T[]>(JsonFormatter.Default.Format(list.ListValue), _json)!;
            if (items.Length > 0) yield return (StepLabels.Of(step), items);
        }
    }
}
