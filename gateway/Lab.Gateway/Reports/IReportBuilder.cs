using Lab.Artifacts;
using Lab.Gateway.Definitions;
using Lab.Protos.Experiment.V1;

namespace Lab.Gateway.Reports;

/// <summary>Makes the report of a run whose steps have all succeeded.</summary>
internal interface IReportBuilder
{
    /// <summary>Stores report.json and report.html as an artifact of kind "report".</summary>
    /// <param name="run">
    /// The run: steps with outputs (a service's run fields in protobuf JSON with snake_case names and int64 as numbers, its "metrics"
    /// and "seconds"), and <c>status.metrics</c> with the definition's flat metrics. A ratio of zeros is NaN or infinite.
    /// </param>
    /// <param name="definition">The experiment, with the report's title and the order of its metrics.</param>
    Task<StoredArtifact> BuildAsync(ExperimentRun run, ExperimentDefinition definition, CancellationToken cancellationToken);
}
