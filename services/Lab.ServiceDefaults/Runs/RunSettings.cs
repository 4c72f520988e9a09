namespace Lab.ServiceDefaults.Runs;

/// <summary>What sets one collection of runs apart.</summary>
/// <param name="Collection">"trainingRuns".</param>
/// <param name="MaxConcurrent">Runs that are worked on at once; the others wait.</param>
internal sealed record RunSettings(string Collection, int MaxConcurrent)
{
    /// <summary>The least time between two snapshots to one watcher, but for the last.</summary>
    public TimeSpan WatchInterval { get; init; } = TimeSpan.FromMilliseconds(100);
}
