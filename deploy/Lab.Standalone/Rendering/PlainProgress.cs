using Lab.Protos.Experiment.V1;
using Lab.Protos.Run.V1;

namespace Lab.Standalone.Rendering;

/// <summary>Progress as lines for files and pipes: one when a step begins, changes its phase, gets a tenth further, or ends.</summary>
internal sealed class PlainProgress(TextWriter output, TimeProvider time) : IProgressView
{
    private readonly Dictionary<string, (RunState State, string Phase, int Tenth)> _written = [];

    public async Task<ExperimentRun> ShowAsync(IAsyncEnumerable<ExperimentRun> snapshots, CancellationToken cancellationToken)
    {
        ExperimentRun? last = null;
        await foreach (ExperimentRun run in snapshots.WithCancellation(cancellationToken))
        {
            last = run;
            DateTimeOffset now = time.GetUtcNow();
            foreach (StepProgress step in run.Steps.Select(step => StepProgress.Of(step, now)).Where(IsNews))
                await output.WriteLineAsync($"[{Durations.Clock(now - (run.Status.StartTime ?? run.Status.CreateTime)?.ToDateTimeOffset() ?? TimeSpan.Zero)}] {Line(step)}");
            await output.FlushAsync(cancellationToken);
        }

        return last ?? throw new InvalidOperationException("The run was watched and gave nothing.");
    }

    private bool IsNews(StepProgress step)
    {
        (RunState, string, int) now = (step.State, step.Phase, (int)((step.Fraction ?? 0) * 10));
        bool isNews = _written.TryGetValue(step.Id, out var before) ? before != now : step.State is not (RunState.Queued or RunState.Unspecified);
        if (isNews) _written[step.Id] = now;
        return isNews;
    }

    private static string Line(StepProgress step)
    {
        string what = step.State switch
        {
            RunState.Succeeded => step.IsCached ? "done (from an earlier run)" : $"done in {Durations.Clock(step.Elapsed ?? TimeSpan.Zero)}",
            RunState.Failed => "failed",
            RunState.Cancelled => "cancelled",
            RunState.Queued => "waiting",
            _ => (step.Phase.Length > 0 ? step.Phase : "running") + (step.Fraction is double fraction ? $" {fraction * 100:0} %" : ""),
        };
        string metrics = step.Metrics.Length > 0 ? "  " + step.Metrics : "";
        string remaining = step.Remaining is TimeSpan left ? $"  eta {Durations.Clock(left)}" : "";
        return $"{step.Id,-16} {what}{metrics}{remaining}";
    }
}
