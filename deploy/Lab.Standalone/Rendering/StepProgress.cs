using System.Globalization;
using Google.Protobuf.WellKnownTypes;
using Lab.Gateway.Reports;
using Lab.Protos.Experiment.V1;
using Lab.Protos.Run.V1;

namespace Lab.Standalone.Rendering;

/// <summary>How far a step is, as a line of progress shows it.</summary>
/// <param name="Id">The step's ID.</param>
/// <param name="State">Where it stands.</param>
/// <param name="IsCached">Whether its result is of an earlier run.</param>
/// <param name="Fraction">From 0 to 1; null while unknown.</param>
/// <param name="Phase">What it does now.</param>
/// <param name="Metrics">The metrics that say most, written out.</param>
/// <param name="Elapsed">Since it began.</param>
/// <param name="Remaining">Until it ends, as estimated.</param>
internal sealed record StepProgress(
    string Id, RunState State, bool IsCached, double? Fraction, string Phase, string Metrics, TimeSpan? Elapsed, TimeSpan? Remaining)
{
    private const int MostMetrics = 3;

    // Metrics with a title that fits into a line, the most telling first.
    private static readonly (string Key, string Title)[] _shown =
    [
        ("circuit.loss", "circuit loss"), ("circuit.edges", "edges"),
        ("held_out_loss", "held-out"), ("loss", "loss"), ("nodes", "nodes"), ("l0_fraction", "L0"), ("encoder_nmse", "encoder"),
        ("decoder_nmse", "decoder"), ("vocab_size", "vocabulary"), ("files", "files"), ("tokens_per_second", "tokens/s"),
    ];

    public static StepProgress Of(StepRun step, DateTimeOffset now)
    {
        RunStatus status = step.Status ?? new RunStatus { State = RunState.Queued };
        Progress? progress = status.Progress;
        double? fraction = status.State == RunState.Succeeded ? 1
            : progress is { Total: > 0 } ? Math.Clamp((double)progress.Completed / progress.Total, 0, 1) : null;
        return new StepProgress(
            step.Id,
            status.State,
            step.Cached,
            fraction,
            status.State == RunState.Running ? progress?.Phase ?? "" : "",
            string.Join("  ", _shown.Where(metric => status.Metrics.ContainsKey(metric.Key)).Take(MostMetrics)
                .Select(metric => $"{metric.Title} {Write(metric.Key, status.Metrics[metric.Key])}")),
            status.StartTime is Timestamp start ? (status.EndTime?.ToDateTimeOffset() ?? now) - start.ToDateTimeOffset() : null,
            status.State == RunState.Running ? progress?.Eta?.ToTimeSpan() : null);
    }

    private static string Write(string key, double value) => key switch
    {
        "held_out_loss" or "loss" or "circuit.loss" => value.ToString("0.000", CultureInfo.InvariantCulture),
        _ => MetricCatalogue.Write(key, value),
    };
}
