using Lab.ModelHost.Scheduling;

namespace Lab.ModelHost.Passes;

/// <summary>A job that has a turn on the model's thread to itself, on its way through the scheduler.</summary>
/// <typeparam name="T">What it gives: plain managed data.</typeparam>
internal sealed class ExclusiveWork<T> : SoloWork
{
    private readonly TimeSpan _maxTime;
    private readonly Action _begun;
    private readonly Func<CancellationToken, T> _job;
    private readonly TimeProvider _time;
    private readonly long _submitted;
    private readonly TaskCompletionSource<ExclusiveResult<T>> _result = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private SharedPass? _pass;
    private T? _value;

    /// <param name="shape">Its rows, and how often it goes over them.</param>
    /// <param name="order">Its priority and its budget of time.</param>
    /// <param name="begun">Called on the model's thread when it begins.</param>
    /// <param name="job">The work; gets what cancels it.</param>
    /// <param name="time">The clock.</param>
    /// <param name="token">Ends it.</param>
    public ExclusiveWork(PassShape shape, RunOrder order, Action begun, Func<CancellationToken, T> job, TimeProvider time, CancellationToken token)
        : base(order.Priority, token)
    {
        (_maxTime, _begun, _job, _time, _submitted) = (order.Limits.MaxTime, begun, job, time, time.GetTimestamp());
        Shape = shape with { IsAlone = true };
    }

    public override PassShape Shape { get; }

    /// <summary>What it gave.</summary>
    public Task<ExclusiveResult<T>> Result => _result.Task;

    public override void Run(SharedPass pass)
    {
        _pass = pass;
        _begun();
        using CancellationTokenSource outOfTime = _maxTime > TimeSpan.Zero ? new CancellationTokenSource(_maxTime, _time) : new CancellationTokenSource();
        using CancellationTokenSource any = CancellationTokenSource.CreateLinkedTokenSource(Token, pass.Stopping, outOfTime.Token);
        try
        {
            _value = _job(any.Token);
        }
        catch (OperationCanceledException) when (!Token.IsCancellationRequested && !pass.Stopping.IsCancellationRequested)
        {
            throw TimeBudget.Exceeded(_maxTime);
        }
    }

    public override bool End(Exception? failure, TimeSpan elapsed)
    {
        if (failure is OperationCanceledException) _result.TrySetCanceled(Token.IsCancellationRequested ? Token : _pass!.Stopping);
        else if (failure is not null) _result.TrySetException(failure);
        else _result.TrySetResult(new ExclusiveResult<T>(_value!, _time.GetElapsedTime(_submitted, _pass!.Started), elapsed, Shape.Rows));
        return false;
    }

    public override void Abandon(Exception reason)
    {
        if (reason is OperationCanceledException cancelled) _result.TrySetCanceled(cancelled.CancellationToken);
        else _result.TrySetException(reason);
    }

    /// <summary>Nothing: what a job holds is gone when it returns.</summary>
    public override void Dispose()
    {
    }
}
