using System.Text.Json.Nodes;
using Lab.Artifacts;
using Lab.Gateway.Definitions;
using Lab.Protos.Experiment.V1;

namespace Lab.Gateway.Reports;

/// <summary>Makes the report of a run and stores it as an artifact of kind "report".</summary>
internal sealed class ReportBuilder(ArtifactStore store, TimeProvider time) : IReportBuilder
{
    private const string Kind = "report";

    public async Task<StoredArtifact> BuildAsync(ExperimentRun run, ExperimentDefinition definition, CancellationToken cancellationToken)
    {
        ReportData data = await new ReportReader(store, time).ReadAsync(run, definition, cancellationToken);
        var inputs = data.Artifacts
            .Where(artifact => artifact.Step is not null)
            .GroupBy(artifact => artifact.Step!)
            .SelectMany(step => step.Select((artifact, i) => KeyValuePair.Create(i == 0 ? step.Key : $"{step.Key}.{i}", artifact.Stored.Digest)));
        var provenance = new ArtifactProvenance(
            $"Gateway/{run.Name}",
            new Dictionary<string, string>(inputs),
            new JsonObject { ["experiment"] = run.Experiment, ["run"] = run.Name },
            data.Seed);
        return await store.PutAsync(Kind, provenance, (folder, ct) => WriteAsync(folder, data, ct), cancellationToken);
    }

    private static async Task WriteAsync(string folder, ReportData data, CancellationToken cancellationToken)
    {
        await File.WriteAllTextAsync(Path.Combine(folder, "report.json"), ReportJson.Write(data), cancellationToken);
        await File.WriteAllTextAsync(Path.Combine(folder, "report.html"), ReportPage.Write(data), cancellationToken);
    }
}
