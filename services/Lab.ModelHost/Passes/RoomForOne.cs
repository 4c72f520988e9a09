namespace Lab.ModelHost.Passes;

/// <summary>
/// The requests of one stream that are at work. One that finds the service full waits until another of its stream has ended;
/// the last one at work does not, since nobody of the stream would make room for it. It tries again if others of the stream were
/// at work meanwhile: what they held in part may have been what it lacked.
/// </summary>
internal sealed class RoomForOne
{
    private readonly Lock _gate = new();
    private int _working;
    private long _changes;
    private TaskCompletionSource _leave = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes when the next request ends.</summary>
    public Task NextLeave
    {
        get
        {
            lock (_gate) return _leave.Task;
        }
    }

    /// <summary>Changes with every request that goes to work or ceases to.</summary>
    public long Changes
    {
        get
        {
            lock (_gate) return _changes;
        }
    }

    /// <summary>A request goes to work.</summary>
    public void Enter()
    {
        lock (_gate) (_working, _changes) = (_working + 1, _changes + 1);
    }

    /// <summary>A request that has given back what it held goes from work to wait, unless none would be at work then.</summary>
    public bool TryWait()
    {
        lock (_gate)
        {
            if (_working == 1) return false;
            (_working, _changes) = (_working - 1, _changes + 1);
            return true;
        }
    }

    /// <summary>A request ends.</summary>
    public void Leave()
    {
        lock (_gate)
        {
            (_working, _changes) = (_working - 1, _changes + 1);
            _leave.SetResult();
            _leave = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }
}
