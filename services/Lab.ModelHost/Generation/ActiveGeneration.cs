using System.Threading.Channels;
using Lab.ModelHost.Passes;
using Lab.ModelHost.Residents;
using Lab.Models.Interventions;
using Lab.ServiceDefaults.Errors;

namespace Lab.ModelHost.Generation;

/// <summary>
/// A generation under way, and what it gives, to be read meanwhile. It never waits for the reader: tokens are small, and the memory of
/// captures was admitted before it began. Disposed, it is cancelled, and over.
/// </summary>
internal sealed class ActiveGeneration : IAsyncDisposable
{
    private readonly CancellationTokenSource _end;
    private readonly TaskCompletionSource _begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Channel<GenerationEvent> _events = Channel.CreateUnbounded<GenerationEvent>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });
    private readonly Task<GenerationResult> _result;

    /// <param name="lease">Ends with the generation: a slow reader must not keep the model.</param>
    /// <param name="plan">What it does.</param>
    /// <param name="cache">The memory of its keys and values, given back at its end.</param>
    /// <param name="time">The clock.</param>
    /// <param name="ct">Cancels it.</param>
    public ActiveGeneration(ModelLease lease, GenerationPlan plan, IDisposable cache, TimeProvider time, CancellationToken ct)
    {
        _end = CancellationTokenSource.CreateLinkedTokenSource(ct);
        _result = RunAsync(lease, plan, cache, time);
    }

    /// <summary>What it gives, in order. It ends with the generation, however that ends.</summary>
    public IAsyncEnumerable<GenerationEvent> ReadAsync(CancellationToken ct) => _events.Reader.ReadAllAsync(ct);

    /// <summary>Completes when the first pass begins.</summary>
    /// <exception cref="Exception">It ended before.</exception>
    public async Task BeginAsync()
    {
        if (await Task.WhenAny(_begun.Task, _result) == _result && !_begun.Task.IsCompleted) await _result;
    }

    /// <summary>How it went.</summary>
    /// <exception cref="FailedPreconditionException">A number is not finite, or an intervention or a weight edit did not fire.</exception>
    public Task<GenerationResult> EndAsync() => _result;

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await ((Task)_result).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _end.Dispose();
    }

    private async Task<GenerationResult> RunAsync(ModelLease lease, GenerationPlan plan, IDisposable cache, TimeProvider time)
    {
        try
        {
            SequenceWork work = new(lease.Model, plan, _begun.SetResult, given => _events.Writer.TryWrite(given), time, _end.Token);
            lease.Model.Scheduler.Submit(work);
            GenerationResult result = await work.Result;
            PassRunner.RequireFired(plan.Order.Prefill.Interventions, result.FireCounts);
            PassRunner.RequireFired(plan.Order.Prefill.Edits, result.EditFireCounts);
            return result;
        }
        catch (NonFiniteActivationException e)
        {
            throw PassRunner.NonFinite(e);
        }
        finally
        {
            _events.Writer.Complete();
            cache.Dispose();
            lease.Dispose();
        }
    }
}
