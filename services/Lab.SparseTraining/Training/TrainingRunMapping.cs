using Google.Protobuf.WellKnownTypes;
using Lab.Artifacts;
using Lab.ServiceDefaults.Errors;
using Proto = Lab.Protos.SparseTraining.V1;

namespace Lab.SparseTraining.Training;

/// <summary>What a TrainingRun asks for beyond its recipe: checkpoints, fork, extensions.</summary>
internal static class TrainingRunMapping
{
    private const int DefaultKept = 2;
    private const int MaxKept = 1000;
    private const int MaxNanos = 999_999_999;
    private static readonly Duration DefaultInterval = Duration.FromTimeSpan(TimeSpan.FromMinutes(10));

    /// <summary>When state is stored.</summary>
    public static CheckpointPlan ToCheckpointPlan(Proto.TrainingConfig config)
    {
        Proto.CheckpointConfig checkpoints = config.Checkpoints ?? new Proto.CheckpointConfig();
        return new CheckpointPlan(
            (checkpoints.TimeInterval ?? DefaultInterval).ToTimeSpan(), checkpoints.Kept == 0 ? DefaultKept : checkpoints.Kept, checkpoints.PublishInterval);
    }

    /// <summary>The recipe, extensions included.</summary>
    public static TrainingRecipe ToRecipe(Proto.TrainingRun run)
    {
        TrainingRecipe recipe = TrainingMapping.ToRecipe(run.Config.Recipe);
        long planned = recipe.Steps;
        foreach (Proto.TrainingExtension extension in run.Extensions)
        {
            recipe = recipe with
            {
                Steps = extension.Steps,
                PlannedSteps = planned,
                DecaySteps = extension.Schedule == Proto.ExtensionSchedule.Recompute ? extension.Steps : recipe.DecaySteps,
            };
        }

        return recipe;
    }

    /// <summary>Extends a run that has ended.</summary>
    /// <param name="run">Changed, unless it throws.</param>
    /// <param name="request">How.</param>
    /// <param name="steps">The steps of its checkpoints on disk: a run that was cancelled stored its last one after that.</param>
    /// <exception cref="InvalidRequestException">The steps are not more than were taken, or more than the schedule that is kept.</exception>
    /// <exception cref="FailedPreconditionException">There is no checkpoint to go on from: "NO_CHECKPOINT".</exception>
    public static void Extend(Proto.TrainingRun run, Proto.ExtendTrainingRunRequest request, IReadOnlyList<long> steps)
    {
        if (steps is not [.., long newest])
            throw new FailedPreconditionException("NO_CHECKPOINT", $"{run.Name} has no checkpoint to go on from.");
        if (request.Steps <= newest)
            throw new InvalidRequestException("steps", $"must be more than the {newest} steps that {run.Name} has taken, not {request.Steps}");
        if (!System.Enum.IsDefined(request.Schedule)) throw new InvalidRequestException("schedule", $"is unknown: {(int)request.Schedule}");
        TrainingRecipe recipe = ToRecipe(run);
        if (request.Schedule != Proto.ExtensionSchedule.Recompute && recipe.LearningRateDecay && request.Steps > recipe.DecaySteps)
        {
            throw new InvalidRequestException(
                "steps", $"must be at most {recipe.DecaySteps}, where the learning rate of the schedule that is kept is 0, not {request.Steps}; EXTENSION_SCHEDULE_RECOMPUTE goes beyond");
        }

        run.Extensions.Add(new Proto.TrainingExtension { FromStep = newest, Steps = request.Steps, Schedule = request.Schedule });
        run.StopRequested = false;
        run.TaskAccuracies.Clear();
        run.Model = "";
        run.End = Proto.TrainingEnd.Unspecified;
    }

    /// <summary>Asks a run to stop.</summary>
    /// <exception cref="FailedPreconditionException">No work was done on it: "NOT_STARTED".</exception>
    public static void Stop(Proto.TrainingRun run)
    {
        if (run.Status.EndTime is not null) return;
        if (run.Status.StartTime is null) throw new FailedPreconditionException("NOT_STARTED", $"{run.Name} has not started and has no model; cancel it instead.");
        run.StopRequested = true;
    }

    /// <summary>What is wrong with names, checkpoints and fork.</summary>
    public static IEnumerable<FieldViolation> Violations(Proto.TrainingConfig? config)
    {
        if (NameError("config.output_name", config?.OutputName ?? "") is { } outputName) yield return outputName;
        if (config?.Checkpoints is { } checkpoints)
        {
            if (checkpoints.TimeInterval is { } interval && (interval.Seconds is < 0 or > Duration.MaxSeconds || interval.Nanos is < 0 or > MaxNanos || interval.Seconds + interval.Nanos == 0))
                yield return new FieldViolation("config.checkpoints.time_interval", $"must be positive, of at most {Duration.MaxSeconds} seconds and {MaxNanos} nanos");
            if (checkpoints.Kept is < 0 or > MaxKept)
                yield return new FieldViolation("config.checkpoints.kept", $"must be from 1 to {MaxKept}, not {checkpoints.Kept}");
            if (checkpoints.PublishInterval < 0)
                yield return new FieldViolation("config.checkpoints.publish_interval", "must not be negative");
            if (checkpoints.PublishName.Length > 0 && checkpoints.PublishInterval == 0)
                yield return new FieldViolation("config.checkpoints.publish_name", "needs a publish_interval");
            if (NameError("config.checkpoints.publish_name", checkpoints.PublishName) is { } publishName) yield return publishName;
        }

        if (config?.Fork is not { } fork) yield break;
        if (fork.TrainingRun.Length == 0) yield return new FieldViolation("config.fork.training_run", "is required");
        if (fork.Step < 0) yield return new FieldViolation("config.fork.step", "must not be negative");
    }

    private static FieldViolation? NameError(string field, string name)
    {
        try
        {
            if (name.Length > 0) ArtifactStore.ValidateName(name, field);
            return null;
        }
        catch (ArgumentException e)
        {
            return new FieldViolation(field, e.Message.Replace($" (Parameter '{field}')", "", StringComparison.Ordinal));
        }
    }
}
