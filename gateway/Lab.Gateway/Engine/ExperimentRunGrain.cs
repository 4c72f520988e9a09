using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using Lab.Gateway.Definitions;
using Lab.Protos.Experiment.V1;
using Lab.Protos.Run.V1;
using Orleans.Runtime;

namespace Lab.Gateway.Engine;

/// <summary>
/// A run of an experiment. The work is a task of the activation (<see cref="RunWork"/>) that shares its scheduler, so that state is
/// touched by one thread at a time, and calls are answered while a step is waited for.
/// </summary>
internal sealed class ExperimentRunGrain(
    [PersistentState(ExperimentRunState.Name, ExperimentRunGrain.StorageName)] IPersistentState<ExperimentRunState> state,
    ExperimentPlanner planner, RunWorkFactory works, RunIndex index, TimeProvider time) : Grain, IExperimentRunGrain, IRunJournal, IDisposable
{
    public const string StorageName = "files";

    private readonly SemaphoreSlim _saving = new(1);
    private readonly CancellationTokenSource _stopping = new();
    private CancellationTokenSource _cancelling = new();
    private TaskCompletionSource _changed = NewSignal();
    private Task _work = Task.CompletedTask;

    private ExperimentRun? Run => state.State.Run;

    public async Task<ExperimentRun> CreateAsync(ExperimentRun request, bool ignoresCache)
    {
        if (Run is not null) return Run.Clone();
        string id = this.GetPrimaryKeyString();
        ExperimentPlan plan = planner.Plan(request.Yaml, request.Parameters);
        state.State = new ExperimentRunState
        {
            Run = RunBoard.Create(request, id, plan, time),
            Nonce = Guid.NewGuid().ToString("n")[..8],
            IgnoresCache = ignoresCache,
        };
        try
        {
            await SaveAsync();
        }
        catch
        {
            state.State = new ExperimentRunState();
            throw;
        }
        index.Add(id, Run!.Status.CreateTime.ToDateTimeOffset());
        ExperimentRun created = Run.Clone();
        Work();
        return created;
    }

    public Task<ExperimentRun?> FindAsync() => Task.FromResult(Run?.Clone());

    public Task<ExperimentRun?> ContinueAsync()
    {
        if (Run is not null && !Run.Status.State.IsFinal() && _work.IsCompleted)
        {
            Run.Status.ResumeCount++;
            Work();
        }
        return FindAsync();
    }

    public async Task<ExperimentRun?> CancelAsync()
    {
        if (Run is not null && !Run.Status.State.IsFinal() && !state.State.IsCancelRequested)
        {
            state.State.IsCancelRequested = true;
            try
            {
                await SaveAsync();
            }
            catch
            {
                // Not cancelled: the caller is told, and may ask again.
                state.State.IsCancelRequested = false;
                throw;
            }

            await _cancelling.CancelAsync();
        }
        return Run?.Clone();
    }

    public async Task<ExperimentRun?> ResumeAsync()
    {
        if (Run?.Status.State is RunState.Failed or RunState.Cancelled)
        {
            await _work;
            (ExperimentRun ended, bool wasCancelled) = (Run.Clone(), state.State.IsCancelRequested);
            new RunBoard(Run, time).Requeue();
            state.State.IsCancelRequested = false;
            try
            {
                await SaveAsync();
            }
            catch
            {
                // It has ended as before: nothing works on it, and the caller may ask again.
                (state.State.Run, state.State.IsCancelRequested) = (ended, wasCancelled);
                Publish();
                throw;
            }

            _cancelling.Dispose();
            _cancelling = new CancellationTokenSource();
            Work();
        }
        return Run?.Clone();
    }

    public async IAsyncEnumerable<ExperimentRun> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (Run is not null)
        {
            Task changed = _changed.Task;
            bool isLast = Run.Status.State.IsFinal();
            yield return Run.Clone();
            if (isLast) yield break;
            await changed.WaitAsync(cancellationToken);
        }
    }

    public override async Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken)
    {
        await _stopping.CancelAsync();
        await _work.WaitAsync(cancellationToken);
    }

    public async Task SaveAsync()
    {
        Publish();
        await _saving.WaitAsync();
        try
        {
            await state.WriteStateAsync();
        }
        catch (OrleansException e) when (e.InnerException is IOException fault)
        {
            // Orleans wraps what the storage throws; a full disk has a status of its own.
            ExceptionDispatchInfo.Throw(fault);
        }
        finally
        {
            _ = _saving.Release();
        }
    }

    public void Dispose()
    {
        _saving.Dispose();
        _stopping.Dispose();
        _cancelling.Dispose();
    }

    public void Publish()
    {
        TaskCompletionSource changed = _changed;
        _changed = NewSignal();
        changed.SetResult();
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private void Work()
    {
        // An activation that works must not be collected for want of calls.
        DelayDeactivation(Timeout.InfiniteTimeSpan);
        if (state.State.IsCancelRequested) _cancelling.Cancel();
        // The work outlives the call that starts it, and must not inherit its HttpContext, deadline or trace.
        AsyncFlowControl? suppressed = ExecutionContext.IsFlowSuppressed() ? null : ExecutionContext.SuppressFlow();
        _work = WorkAsync();
        suppressed?.Undo();
    }

    private async Task WorkAsync()
    {
        await Task.Yield();
        await works.Create(state.State, this).RunAsync(_cancelling.Token, _stopping.Token);
        DelayDeactivation(TimeSpan.Zero);
    }
}
