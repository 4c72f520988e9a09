namespace Lab.SparseTraining.Training;

/// <summary>
/// Stores one thing after the other on a thread of its own, while the training goes on. The training's thread alone calls the members.
/// </summary>
internal sealed class BackgroundSave : IDisposable
{
    private Task _pending = Task.CompletedTask;

    /// <summary>Begins to store, as soon as what was begun before is stored.</summary>
    /// <param name="save">Stores. What it throws, the next call of a member throws.</param>
    public void Begin(Action save)
    {
        Wait();
        _pending = Task.Factory.StartNew(save, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    /// <summary>Waits until what was begun is stored. Throws what went wrong, once.</summary>
    public void Wait()
    {
        Task pending = _pending;
        _pending = Task.CompletedTask;
        pending.GetAwaiter().GetResult();
    }

    /// <summary>Throws what went wrong, if it has already, without waiting.</summary>
    public void ThrowIfFailed()
    {
        if (_pending.IsFaulted) Wait();
    }

    /// <summary>Waits until nothing is being stored. How it ends matters no more: the training has an error of its own.</summary>
    public void Dispose()
    {
        Task.WaitAny(_pending);
        _ = _pending.Exception;
    }
}
