using Google.Protobuf.WellKnownTypes;
using Lab.Protos.Run.V1;

namespace Lab.ServiceDefaults.Runs;

/// <summary>Estimates when a phase ends, from its rate so far.</summary>
internal sealed class ProgressClock(TimeProvider time)
{
    private readonly Lock _lock = new();
    private string? _phase;
    private long _firstCompleted;
    private long _firstTimestamp;

    public Progress Measure(string phase, long completed, long total, string unit)
    {
        var progress = new Progress { Phase = phase, Completed = completed, Total = total, Unit = unit };
        lock (_lock)
        {
            if (phase != _phase || completed < _firstCompleted)
                (_phase, _firstCompleted, _firstTimestamp) = (phase, completed, time.GetTimestamp());
            double elapsed = time.GetElapsedTime(_firstTimestamp).TotalSeconds;
            long done = completed - _firstCompleted;
            if (completed >= total && total > 0)
                progress.Eta = new Duration();
            else if (total > 0 && done > 0 && elapsed > 0)
                progress.Eta = ToDuration(elapsed / done * (total - completed));
        }

        return progress;
    }

    private static Duration ToDuration(double seconds) =>
        Duration.FromTimeSpan(TimeSpan.FromSeconds(Math.Round(Math.Min(seconds, TimeSpan.FromDays(3650).TotalSeconds), 3)));
}
