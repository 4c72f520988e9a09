using System.Threading.Channels;
using Lab.ModelHost.Residents;
using Lab.Tensors;

namespace Lab.ModelHost.Passes;

/// <summary>
/// A pass that waits for its model or runs, and the tensors that it gives, to be read meanwhile. The pass never waits for the
/// reader: its tensors' memory was admitted before it began. Disposed, it is cancelled, and over.
/// </summary>
internal sealed class ActivePass : IAsyncDisposable
{
    private readonly CancellationTokenSource _end;
    private readonly TaskCompletionSource _begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Channel<HostTensor> _tensors = Channel.CreateUnbounded<HostTensor>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });
    private readonly Task<PassResult> _result;

    /// <param name="runner">Runs it.</param>
    /// <param name="lease">Ends with the pass: a slow reader must not keep the model.</param>
    /// <param name="plan">What it does.</param>
    /// <param name="ct">Cancels it.</param>
    public ActivePass(PassRunner runner, ModelLease lease, RunPlan plan, CancellationToken ct)
    {
        _end = CancellationTokenSource.CreateLinkedTokenSource(ct);
        _result = RunAsync(runner, lease, plan);
    }

    /// <summary>What is captured, in the order of the forward pass, then logits. It ends with the pass, however that ends.</summary>
    public IAsyncEnumerable<HostTensor> ReadTensorsAsync(CancellationToken ct) => _tensors.Reader.ReadAllAsync(ct);

    /// <summary>Completes when the pass begins.</summary>
    /// <exception cref="Exception">It ended before.</exception>
    public async Task BeginAsync()
    {
        if (await Task.WhenAny(_begun.Task, _result) == _result && !_begun.Task.IsCompleted) await _result;
    }

    /// <summary>What became of the pass.</summary>
    /// <exception cref="Lab.ServiceDefaults.Errors.FailedPreconditionException">A number is not finite, or an intervention did not fire.</exception>
    public Task<PassResult> EndAsync() => _result;

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await ((Task)_result).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _end.Dispose();
    }

    private async Task<PassResult> RunAsync(PassRunner runner, ModelLease lease, RunPlan plan)
    {
        try
        {
            PassResult result = await runner.RunAsync(lease.Model, plan, _begun.SetResult, tensor => _tensors.Writer.TryWrite(tensor), _end.Token);
            PassRunner.RequireFired(plan.Order.Interventions, result.FireCounts);
            PassRunner.RequireFired(plan.Order.Edits, result.EditFireCounts);
            return result;
        }
        finally
        {
            _tensors.Writer.Complete();
            lease.Dispose();
        }
    }
}
