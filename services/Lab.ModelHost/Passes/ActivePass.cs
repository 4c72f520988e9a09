using System.Threading.Channels;
using Lab.ModelHost.Residents;
using Lab.Tensors;

namespace Lab.ModelHost.Passes;

/// <summary>
/// Work that waits for its model or runs, and the tensors that it gives, to be read meanwhile. The work never waits for the
/// reader: its tensors' memory was admitted before it began. Disposed, it is cancelled, and over.
/// </summary>
/// <typeparam name="T">What it gives in the end: plain managed data.</typeparam>
internal sealed class ActivePass<T> : IAsyncDisposable
{
    private readonly CancellationTokenSource _end;
    private readonly TaskCompletionSource _begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Channel<HostTensor> _tensors = Channel.CreateUnbounded<HostTensor>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });
    private readonly Task<T> _result;

    /// <param name="lease">Ends with the work: a slow reader must not keep the model.</param>
    /// <param name="run">Queues the work: gets what to call when it begins, where to send tensors, and what cancels it.</param>
    /// <param name="ct">Cancels it.</param>
    public ActivePass(ModelLease lease, Func<Action, Action<HostTensor>, CancellationToken, Task<T>> run, CancellationToken ct)
    {
        _end = CancellationTokenSource.CreateLinkedTokenSource(ct);
        _result = RunAsync(lease, run);
    }

    /// <summary>What it gives, in order. It ends with the work, however that ends.</summary>
    public IAsyncEnumerable<HostTensor> ReadTensorsAsync(CancellationToken ct) => _tensors.Reader.ReadAllAsync(ct);

    /// <summary>Completes when the work begins.</summary>
    /// <exception cref="Exception">It ended before.</exception>
    public async Task BeginAsync()
    {
        if (await Task.WhenAny(_begun.Task, _result) == _result && !_begun.Task.IsCompleted) await _result;
    }

    /// <summary>What became of the work.</summary>
    /// <exception cref="Lab.ServiceDefaults.Errors.FailedPreconditionException">A number is not finite, or an intervention did not fire.</exception>
    /// <exception cref="Lab.ServiceDefaults.Errors.ResourceExhaustedException">Too many requests wait, or its time is spent.</exception>
    public Task<T> EndAsync() => _result;

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await ((Task)_result).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _end.Dispose();
    }

    private async Task<T> RunAsync(ModelLease lease, Func<Action, Action<HostTensor>, CancellationToken, Task<T>> run)
    {
        try
        {
            return await run(_begun.SetResult, tensor => _tensors.Writer.TryWrite(tensor), _end.Token);
        }
        finally
        {
            _tensors.Writer.Complete();
            lease.Dispose();
        }
    }
}
