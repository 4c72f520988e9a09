using System.Threading.Channels;
using Lab.ModelHost.Residents;
using Lab.Models.Interventions;
using Lab.ServiceDefaults.Errors;
using Lab.Tensors;

namespace Lab.ModelHost.Passes;

/// <summary>
/// Work that has its model's thread to itself, as no other request can share it, and the tensors that it gives, to be read meanwhile.
/// It never waits for the reader: its tensors' memory was admitted before it began. Disposed, it is cancelled, and over.
/// </summary>
/// <typeparam name="T">What it gives in the end: plain managed data.</typeparam>
internal sealed class ExclusivePass<T> : IAsyncDisposable
{
    private readonly CancellationTokenSource _end;
    private readonly TaskCompletionSource _begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Channel<HostTensor> _tensors = Channel.CreateUnbounded<HostTensor>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });
    private readonly Task<(T Result, TimeSpan Queue, TimeSpan Compute)> _result;

    /// <param name="lease">Ends with the work: a slow reader must not keep the model.</param>
    /// <param name="time">Measures.</param>
    /// <param name="limits">What it may cost: its time on the model's thread.</param>
    /// <param name="job">The work: gets where to send tensors, and what cancels it.</param>
    /// <param name="ct">Cancels it.</param>
    public ExclusivePass(ModelLease lease, TimeProvider time, RequestLimits limits, Func<Action<HostTensor>, CancellationToken, T> job, CancellationToken ct)
    {
        _end = CancellationTokenSource.CreateLinkedTokenSource(ct);
        _result = RunAsync(lease, time, limits, job);
    }

    /// <summary>What it gives, in order. It ends with the work, however that ends.</summary>
    public IAsyncEnumerable<HostTensor> ReadTensorsAsync(CancellationToken ct) => _tensors.Reader.ReadAllAsync(ct);

    /// <summary>Completes when the work begins.</summary>
    /// <exception cref="Exception">It ended before.</exception>
    public async Task BeginAsync()
    {
        if (await Task.WhenAny(_begun.Task, _result) == _result && !_begun.Task.IsCompleted) await _result;
    }

    /// <summary>What became of the work, how long it waited for the model's thread, and how long it took.</summary>
    /// <exception cref="FailedPreconditionException">A number is not finite.</exception>
    /// <exception cref="ResourceExhaustedException">Its time was spent.</exception>
    public Task<(T Result, TimeSpan Queue, TimeSpan Compute)> EndAsync() => _result;

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await ((Task)_result).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _end.Dispose();
    }

    private async Task<(T Result, TimeSpan Queue, TimeSpan Compute)> RunAsync(
        ModelLease lease, TimeProvider time, RequestLimits limits, Func<Action<HostTensor>, CancellationToken, T> job)
    {
        long submitted = time.GetTimestamp();
        try
        {
            return await lease.Model.Worker.RunAsync(token => Run(submitted, time, limits.MaxTime, job, token), _end.Token);
        }
        catch (NonFiniteActivationException e)
        {
            throw new FailedPreconditionException("NON_FINITE", e.Message) { Metadata = new Dictionary<string, string> { ["tensor"] = e.Name } };
        }
        finally
        {
            _tensors.Writer.Complete();
            lease.Dispose();
        }
    }

    private (T Result, TimeSpan Queue, TimeSpan Compute) Run(long submitted, TimeProvider time, TimeSpan maxTime, Func<Action<HostTensor>, CancellationToken, T> job, CancellationToken ct)
    {
        long started = time.GetTimestamp();
        _begun.SetResult();
        using CancellationTokenSource outOfTime = maxTime > TimeSpan.Zero ? new CancellationTokenSource(maxTime, time) : new CancellationTokenSource();
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(ct, outOfTime.Token);
        try
        {
            T result = job(tensor => _tensors.Writer.TryWrite(tensor), either.Token);
            return (result, time.GetElapsedTime(submitted, started), time.GetElapsedTime(started));
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            throw new ResourceExhaustedException("TIME_BUDGET_EXCEEDED", $"The budget of {maxTime.TotalMilliseconds} ms on the model's thread is spent.");
        }
    }
}
