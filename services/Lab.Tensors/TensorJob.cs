namespace Lab.Tensors;

/// <summary>A queued unit of work: cancelled while it waits, or run once and then completed.</summary>
internal abstract class TensorJob
{
    private const int Waiting = 0;
    private const int Running = 1;
    private const int Cancelled = 2;

    private readonly CancellationTokenRegistration _registration;
    private int _state;

    protected TensorJob(CancellationToken ct)
    {
        Token = ct;
        _registration = ct.UnsafeRegister(static (job, token) => ((TensorJob)job!).Cancel(token), this);
    }

    public bool IsCancelled => Volatile.Read(ref _state) == Cancelled;

    protected CancellationToken Token { get; }

    /// <summary>Runs the work and keeps its outcome, unless it was cancelled while it waited. Throws nothing.</summary>
    public void Run(CancellationToken stopping)
    {
        _registration.Dispose();
        if (Interlocked.CompareExchange(ref _state, Running, Waiting) == Waiting) Execute(stopping);
    }

    /// <summary>Publishes the outcome. Separate from running, so that the job's tensors are gone when its caller goes on.</summary>
    public abstract void Complete();

    /// <summary>Ends the job as cancelled if it has not begun.</summary>
    public void Cancel(CancellationToken token)
    {
        if (Interlocked.CompareExchange(ref _state, Cancelled, Waiting) == Waiting) SetCancelled(token);
    }

    /// <summary>Lets go of the caller's token; for a job that will not run.</summary>
    public void Release() => _registration.Dispose();

    protected abstract void Execute(CancellationToken stopping);

    protected abstract void SetCancelled(CancellationToken token);
}

/// <inheritdoc/>
internal sealed class TensorJob<T>(Func<CancellationToken, T> work, CancellationToken ct) : TensorJob(ct)
{
    private readonly TaskCompletionSource<T> _result = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Action? _complete;

    public Task<T> Result => _result.Task;

    public override void Complete() => _complete?.Invoke();

    protected override void Execute(CancellationToken stopping)
    {
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(Token, stopping);
        try
        {
            T value = work(either.Token);
            _complete = () => _result.SetResult(value);
        }
        catch (OperationCanceledException) when (either.IsCancellationRequested)
        {
            CancellationToken cause = Token.IsCancellationRequested ? Token : stopping;
            _complete = () => _result.SetCanceled(cause);
        }
        catch (Exception exception)
        {
            // Nothing is swallowed: whatever the job threw reaches the one who awaits it, and the thread lives on.
            _complete = () => _result.SetException(exception);
        }
    }

    protected override void SetCancelled(CancellationToken token) => _result.SetCanceled(token);
}
