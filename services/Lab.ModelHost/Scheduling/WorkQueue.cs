namespace Lab.ModelHost.Scheduling;

/// <summary>Requests by urgency: the time since which they wait, with a head start for priority. Not safe for concurrent use.</summary>
internal sealed class WorkQueue(TimeProvider time)
{
    private readonly SortedSet<ModelWork> _works = new(Comparer<ModelWork>.Create(static (a, b) =>
        a.UrgentSince != b.UrgentSince ? a.UrgentSince.CompareTo(b.UrgentSince) : a.Number.CompareTo(b.Number)));

    private long _next;

    /// <summary>Requests.</summary>
    public int Count => _works.Count;

    /// <summary>The tokens of their next passes.</summary>
    public long Tokens { get; private set; }

    /// <summary>The most urgent first.</summary>
    public IEnumerable<ModelWork> ByUrgency => _works;

    /// <summary>
    /// The priority of the most urgent one, against those of another queue: a low one that has waited is a normal one. Null if there
    /// is none.
    /// </summary>
    public WorkPriority? Priority => _works.Min is not { } first ? null
        : first.Priority == WorkPriority.Low && time.GetElapsedTime(first.ReadySince) >= ModelScheduler.Aging ? WorkPriority.Normal
        : first.Priority;

    public void Add(ModelWork work)
    {
        work.ReadySince = time.GetTimestamp();
        work.UrgentSince = UrgentSince(work.ReadySince, work.Priority);
        work.Number = _next++;
        Tokens += work.Shape.Tokens;
        _works.Add(work);
    }

    public void Remove(ModelWork work)
    {
        if (_works.Remove(work)) Tokens -= work.Shape.Tokens;
    }

    /// <summary>Takes all.</summary>
    public IReadOnlyList<ModelWork> Clear()
    {
        ModelWork[] all = [.. _works];
        _works.Clear();
        Tokens = 0;
        return all;
    }

    /// <summary>The tokens of those that go before one that came now.</summary>
    public long TokensBefore(WorkPriority priority)
    {
        long now = UrgentSince(time.GetTimestamp(), priority);
        return _works.TakeWhile(work => work.UrgentSince <= now).Sum(work => work.Shape.Tokens);
    }

    private long UrgentSince(long ready, WorkPriority priority) => ready + ((int)priority * (long)(ModelScheduler.Aging.TotalSeconds * time.TimestampFrequency));
}
