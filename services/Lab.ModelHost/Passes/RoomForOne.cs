namespace Lab.ModelHost.Passes;

/// <summary>
/// The requests of one stream that are at work. One that finds the service full waits until another of its stream has ended;
/// the last one at work does not, since nobody of the stream would make room for it.
/// </summary>
internal sealed class RoomForOne
{
    private readonly Lock _gate = new();
    private int _working;
    private TaskCompletionSource _leave = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes when the next request ends.</summary>
    public Task NextLeave
    {
        get
        {
            lock (_gate) return _leave.Task;
        }
    }

    /// <summary>A request goes to work.</summary>
    public void Enter()
    {
        lock (_gate) _working++;
    }

    /// <summary>A request goes from work to wait, unless none would be at work then.</summary>
    public bool TryWait()
    {
        lock (_gate)
        {
            if (_working == 1) return false;
            _working--;
            return true;
        }
    }

    /// <summary>A request ends.</summary>
    public void Leave()
    {
        lock (_gate)
        {
            _working--;
            _leave.SetResult();
            _leave = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }
}
