namespace Lab.Gateway.Operations;

/// <summary>
/// Counts the steps that wait for each run of a service. Steps of equal inputs share one run, so that it may be cancelled only when
/// the last of them is.
/// </summary>
internal sealed class SharedRuns
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, int> _counts = [];

    /// <summary>Counts a step until it is disposed of.</summary>
    public IDisposable Use(string run)
    {
        lock (_lock) _counts[run] = _counts.GetValueOrDefault(run) + 1;
        return new Lease(this, run);
    }

    public bool IsUsed(string run)
    {
        lock (_lock) return _counts.ContainsKey(run);
    }

    private void Release(string run)
    {
        lock (_lock)
        {
            if (--_counts[run] == 0) _ = _counts.Remove(run);
        }
    }

    private sealed class Lease(SharedRuns runs, string run) : IDisposable
    {
        private int _isReleased;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _isReleased, 1) == 0) runs.Release(run);
        }
    }
}
