using System.Text.Json.Nodes;
using Grpc.Core;
using Lab.Gateway.Definitions;
using Lab.Gateway.Operations;
using Lab.Gateway.Storage;
using Lab.Protos.Experiment.V1;
using Lab.Protos.Run.V1;
using Lab.ServiceDefaults.Errors;
using Orleans.Runtime;
using Status = Google.Rpc.Status;

namespace Lab.Gateway.Engine;

/// <summary>
/// The work of one run: runs each step when those that it needs are done, in the order of the definition, then the report. When a step
/// fails, no more are begun; those at work are waited for.
/// </summary>
internal sealed partial class RunWork(
    ExperimentRunState state, IRunJournal journal, ExperimentPlanner planner, StepExecutor executor, ReportStep report, int maxParallelSteps, TimeProvider time, ILogger logger)
{
    private static readonly TimeSpan CancelTimeout = TimeSpan.FromSeconds(10);

    private readonly ExperimentRun _run = state.Run!;
    private readonly RunBoard _board = new(state.Run!, time);
    private readonly Dictionary<string, JsonObject> _outputs = [];

    /// <param name="cancelled">Fires when the run shall end CANCELLED.</param>
    /// <param name="stopping">Fires when the process ends: the run is left as it is, to be gone on with.</param>
    public async Task RunAsync(CancellationToken cancelled, CancellationToken stopping)
    {
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(cancelled, stopping);
        try
        {
            _board.Start();
            ExperimentPlan plan = planner.Plan(_run.Yaml, _run.Parameters);
            Status? error = await RunStepsAsync(plan, cancelled, either.Token);
            either.Token.ThrowIfCancellationRequested();
            if (error is null)
            {
                _board.Progress("report");
                await journal.SaveAsync();
                await report.RunAsync(_run, plan, Outputs, either.Token);
            }
            await FinishAsync(error is null ? RunState.Succeeded : RunState.Failed, error);
        }
        catch (OperationCanceledException) when (either.IsCancellationRequested)
        {
            if (cancelled.IsCancellationRequested && !stopping.IsCancellationRequested) await FinishAsync(RunState.Cancelled, null);
        }
        catch (Exception e)
        {
            // The boundary of the background work: whatever it is, it becomes the run's error.
            await FinishAsync(RunState.Failed, ToStatus(e));
        }
    }

    /// <summary>Returns the error of the first step that failed, or null.</summary>
    private async Task<Status?> RunStepsAsync(ExperimentPlan plan, CancellationToken cancelled, CancellationToken either)
    {
        Dictionary<string, Task<Status?>> working = [];
        Status? error = null;
        while (true)
        {
            bool isStopping = either.IsCancellationRequested && !cancelled.IsCancellationRequested;
            bool isEnding = cancelled.IsCancellationRequested || error is not null;
            foreach (PlannedStep step in plan.Steps)
            {
                if (isStopping || working.Count >= maxParallelSteps) break;
                if (!working.ContainsKey(step.Id) && IsDue(step, isEnding)) working.Add(step.Id, RunStepAsync(plan, step, cancelled, either));
            }
            if (working.Count == 0) return error;
            Task<Status?> ended = await Task.WhenAny(working.Values);
            _ = working.Remove(working.First(w => w.Value == ended).Key);
            error = await ended ?? error;
        }
    }

    /// <summary>Whether a step is to be begun. When the run ends, those that an earlier process began are still taken up, to be ended too.</summary>
    private bool IsDue(PlannedStep step, bool isEnding)
    {
        RunState now = _board.Step(step.Id).Status.State;
        return now == RunState.Running || (now == RunState.Queued && !isEnding && step.Needs.All(_board.IsDone));
    }

    private async Task<Status?> RunStepAsync(ExperimentPlan plan, PlannedStep planned, CancellationToken cancelled, CancellationToken either)
    {
        StepRun step = _board.Step(planned.Id);
        PreparedStep? prepared = null;
        try
        {
            prepared = await executor.PrepareAsync(plan, planned, Outputs, state.Nonce, state.IgnoresCache, CancellationToken.None);
            _board.StartStep(step, prepared.Digest);
            await journal.SaveAsync();
            either.ThrowIfCancellationRequested();
            StepResult result = await executor.ExecuteAsync(prepared, (resource, status) => Report(step, resource, status), either);
            _board.SucceedStep(step, ProtoJson.ToStruct(result.Outputs), result.Run, result.IsCached);
            await journal.SaveAsync();
            return null;
        }
        catch (OperationCanceledException) when (either.IsCancellationRequested)
        {
            if (!cancelled.IsCancellationRequested) return null;
            if (prepared is not null) await CancelWorkAsync(prepared, step);
            _board.EndStep(step, RunState.Cancelled, null);
            return null;
        }
        catch (Exception e)
        {
            // The boundary of a step: whatever it is, it becomes the step's error.
            Status error = ToStatus(e);
            _board.EndStep(step, RunState.Failed, error);
            // A fault of the disk must not leave other steps at work behind a run that has ended.
            await TrySaveAsync(RunState.Failed);
            return error;
        }
    }

    private void Report(StepRun step, string resource, RunStatus status)
    {
        RunBoard.ReportStep(step, resource, status);
        journal.Publish();
    }

    private async Task CancelWorkAsync(PreparedStep prepared, StepRun step)
    {
        using CancellationTokenSource timeout = new(CancelTimeout, time);
        try
        {
            await StepExecutor.CancelAsync(prepared, step.Run, timeout.Token);
        }
        catch (Exception e) when (e is RpcException or OperationCanceledException)
        {
            LogNotCancelled(e, step.Run, step.Id, _run.Name);
        }
    }

    private async Task FinishAsync(RunState final, Status? error)
    {
        _board.Finish(final, error);
        LogEnded(_run.Name, final, error?.Message ?? "");
        // If it cannot be: those who watch see how it ended; the next start of the gateway finds it unfinished and goes on.
        await TrySaveAsync(final);
    }

    private async Task TrySaveAsync(RunState final)
    {
        try
        {
            await journal.SaveAsync();
        }
        catch (Exception e) when (e is IOException or OrleansException)
        {
            LogNotStored(e, _run.Name, final);
        }
    }

    private JsonObject? Outputs(string stepId)
    {
        if (_outputs.TryGetValue(stepId, out JsonObject? known)) return known;
        return _board.IsDone(stepId) ? _outputs[stepId] = ProtoJson.ToJson(_board.Step(stepId).Outputs) : null;
    }

    private Status ToStatus(Exception e)
    {
        if (e is StepFailedException failed) return MessageJsonConverterFactory.Storable(failed.Status);
        Status status = ErrorMapping.ToStatus(e);
        if (status.Code == (int)Google.Rpc.Code.Internal) LogFailure(e, _run.Name);
        return MessageJsonConverterFactory.Storable(status);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "{Run} ended: {State} {Error}")]
    private partial void LogEnded(string run, RunState state, string error);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Run} failed")]
    private partial void LogFailure(Exception e, string run);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Run}, {State}, could not be stored; the copy on disk is older")]
    private partial void LogNotStored(Exception e, string run, RunState state);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Work} of the step {Step} of {Run} could not be cancelled, and may go on")]
    private partial void LogNotCancelled(Exception e, string work, string step, string run);
}
