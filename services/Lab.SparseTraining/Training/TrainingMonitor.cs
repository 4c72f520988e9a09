using Lab.ServiceDefaults.Runs;
using Proto = Lab.Protos.SparseTraining.V1;

namespace Lab.SparseTraining.Training;

/// <summary>Tells a run's watchers how its training goes.</summary>
internal sealed class TrainingMonitor(RunContext<Proto.TrainingRun> context, SparseTrainer trainer, MatmulPeak peak, TimeProvider time)
{
    private readonly long _firstStep = trainer.StepsTaken;
    private readonly long _start = time.GetTimestamp();

    /// <summary>Whether the run was asked to stop, as of the last report.</summary>
    public bool IsStopRequested { get; private set; }

    /// <summary>Shows the curve from here on: points beyond the checkpoint are of steps that are taken again.</summary>
    public void ReportStart(TrainingCurve curve) => context.Update(run =>
    {
        IsStopRequested = run.StopRequested;
        run.End = Proto.TrainingEnd.Unspecified;
        Show(run, curve);
    });

    /// <summary>Tells of a step.</summary>
    public void Report(StepResult result, TrainingCurve curve, bool hasPoint)
    {
        TrainingRecipe recipe = trainer.Recipe;
        double tokens = (double)(result.Step - _firstStep) * recipe.BatchSize * trainer.Model.Config.NCtx;
        double tokensPerSecond = tokens / time.GetElapsedTime(_start).TotalSeconds;
        context.Report("training", result.Step, recipe.Steps, "steps");
        context.Update(run =>
        {
            IsStopRequested = run.StopRequested;
            var metrics = run.Status.Metrics;
            metrics["step"] = result.Step;
            metrics["loss"] = result.Loss;
            metrics["gradient_rms"] = result.GradientRms;
            metrics["learning_rate"] = trainer.LearningRate;
            metrics["tokens_per_second"] = tokensPerSecond;
            if (hasPoint) Show(run, curve);
        });
    }

    /// <summary>Tells how fast the training is, compared with the machine.</summary>
    public void ReportSpeed()
    {
        double flopsPerToken = TrainingFlops.PerToken(trainer.Model);
        double flopsPerSecond = peak.FlopsPerSecond;
        context.Update(run =>
        {
            var metrics = run.Status.Metrics;
            if (!metrics.TryGetValue("tokens_per_second", out double tokensPerSecond)) return;
            metrics["model_flops_per_second"] = tokensPerSecond * flopsPerToken;
            metrics["matmul_peak_flops_per_second"] = flopsPerSecond;
            metrics["model_flops_utilization"] = tokensPerSecond * flopsPerToken / flopsPerSecond;
        });
    }

    /// <summary>Tells which checkpoints there are; on any thread.</summary>
    public void ReportCheckpoints(CheckpointFolder checkpoints)
    {
        Proto.StoredCheckpoint[] stored = [.. checkpoints.All.Select(item => new Proto.StoredCheckpoint { Step = item.Step, Bytes = item.Bytes })];
        context.Update(run =>
        {
            run.Checkpoints.Clear();
            run.Checkpoints.Add(stored);
        });
    }

    /// <summary>Tells of the interventions that it trains under.</summary>
    /// <param name="sequences">Sequences that were changed somewhere, and all.</param>
    public void ReportInterventions((long Changed, long All) sequences) => context.Metric("intervened_fraction", (double)sequences.Changed / sequences.All);

    /// <summary>Tells of the held-out loss under interventions.</summary>
    public void ReportIntervenedLoss(double loss) => context.Metric("held_out_loss_intervened", loss);

    /// <summary>Counts, once the training has ended.</summary>
    public void ReportEnd(TrainingCurve curve)
    {
        double l0Fraction = trainer.L0Fraction;
        long nonzero = trainer.CountNonzeroParameters();
        context.Update(
            run =>
            {
                run.Status.Metrics["l0_fraction"] = l0Fraction;
                run.Status.Metrics["nonzero_parameters"] = nonzero;
                Show(run, curve);
            },
            persist: true);
    }

    private static void Show(Proto.TrainingRun run, TrainingCurve curve)
    {
        // As a rule a point was added; a thinned or restored curve is another one.
        bool isContinued = run.Curve.Count > 0 && run.Curve.Count + 1 == curve.Points.Count && run.Curve[^1].Step == curve.Points[^2].Step;
        if (!isContinued)
        {
            run.Curve.Clear();
            run.Curve.Add(curve.Points.SkipLast(1));
        }

        if (curve.Points is not [.., { } newest]) return;
        run.Curve.Add(newest);
        run.Status.Metrics["l0_fraction"] = newest.L0Fraction;
        if (curve.Evaluations is not [.., { } evaluation]) return;
        run.Evaluation = evaluation;
        run.Status.Metrics["held_out_loss"] = evaluation.HeldOutLoss;
        run.Status.Metrics["dead_neurons"] = evaluation.DeadNeurons.Sum();
        run.Status.Metrics["residual_kurtosis"] = evaluation.ResidualKurtosis;
    }
}
