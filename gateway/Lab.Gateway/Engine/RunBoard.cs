using Google.Protobuf.WellKnownTypes;
using Lab.Gateway.Definitions;
using Lab.Protos.Experiment.V1;
using Lab.Protos.Run.V1;
using Status = Google.Rpc.Status;

namespace Lab.Gateway.Engine;

/// <summary>The transitions of a run and its steps. Changes the run that it is given; stores nothing.</summary>
internal sealed class RunBoard(ExperimentRun run, TimeProvider time)
{
    public static ExperimentRun Create(ExperimentRun request, string id, ExperimentPlan plan, TimeProvider time)
    {
        Timestamp now = Timestamp.FromDateTimeOffset(time.GetUtcNow());
        ExperimentRun run = request.Clone();
        run.Name = RunNames.Of(id);
        run.Status = new RunStatus { State = RunState.Queued, CreateTime = now };
        run.Steps.Clear();
        run.Steps.AddRange(plan.Steps.Select(step => new StepRun
        {
            Id = step.Id,
            Operation = step.Definition.Operation,
            Status = new RunStatus { State = RunState.Queued, CreateTime = now },
        }));
        return run;
    }

    public StepRun Step(string id) => run.Steps.First(s => s.Id == id);

    public bool IsDone(string stepId) => Step(stepId).Status.State == RunState.Succeeded;

    public void Start()
    {
        run.Status.State = RunState.Running;
        run.Status.StartTime ??= Now();
        Progress("");
    }

    /// <summary>Returns a failed or cancelled run to the queue, with the steps that did not succeed.</summary>
    public void Requeue()
    {
        foreach (RunStatus status in run.Steps.Select(s => s.Status).Append(run.Status).Where(s => s.State != RunState.Succeeded))
            (status.State, status.Error, status.EndTime) = (RunState.Queued, null, null);
    }

    public void StartStep(StepRun step, string inputDigest)
    {
        step.InputDigest = inputDigest;
        step.Status.State = RunState.Running;
        step.Status.StartTime ??= Now();
        Progress(step.Id);
    }

    /// <summary>Takes over how far the run is that does the step's work.</summary>
    public static void ReportStep(StepRun step, string resource, RunStatus status)
    {
        step.Run = resource;
        step.Status.Progress = status.Progress?.Clone();
        step.Status.Metrics.Clear();
        step.Status.Metrics.Add(status.Metrics);
        step.Status.ResumeCount = status.ResumeCount;
    }

    public void SucceedStep(StepRun step, Struct outputs, string resource, bool isCached)
    {
        (step.Outputs, step.Run, step.Cached) = (outputs, resource, isCached);
        End(step.Status, RunState.Succeeded, null);
        Progress(step.Id);
    }

    public void EndStep(StepRun step, RunState state, Status? error) => End(step.Status, state, error);

    public void Finish(RunState state, Status? error) => End(run.Status, state, error);

    public void Progress(string phase) => run.Status.Progress = new Progress
    {
        Phase = phase,
        Completed = run.Steps.Count(s => s.Status.State == RunState.Succeeded),
        Total = run.Steps.Count,
        Unit = "steps",
    };

    private void End(RunStatus status, RunState state, Status? error)
    {
        (status.State, status.Error, status.EndTime) = (state, error, Now());
        if (status.Progress is { } progress) progress.Eta = null;
    }

    private Timestamp Now() => Timestamp.FromDateTimeOffset(time.GetUtcNow());
}
