using Lab.ServiceDefaults.Runs;
using Proto = Lab.Protos.SparseTraining.V1;

namespace Lab.SparseTraining.Training;

/// <summary>Tells a run's watchers how its training goes.</summary>
internal sealed class TrainingMonitor(RunContext<Proto.TrainingRun> context, SparseTrainer trainer, long startTimestamp, TimeProvider time)
{
    private readonly long _firstStep = trainer.StepsTaken;

    /// <summary>Tells of a step, and of an evaluation and a curve point if there were any.</summary>
    public void Report(StepResult result, HeldOutEvaluation? evaluation, Proto.TrainingPoint? point)
    {
        TrainingRecipe recipe = trainer.Recipe;
        double tokens = (double)(result.Step - _firstStep) * recipe.BatchSize * trainer.Model.Config.NCtx;
        double seconds = time.GetElapsedTime(startTimestamp).TotalSeconds;
        context.Report("training", result.Step, recipe.Steps, "steps");
        context.Update(run =>
        {
            var metrics = run.Status.Metrics;
            metrics["step"] = result.Step;
            metrics["loss"] = result.Loss;
            metrics["gradient_rms"] = result.GradientRms;
            metrics["learning_rate"] = trainer.LearningRate;
            metrics["tokens_per_second"] = tokens / seconds;
            if (evaluation is { } measured)
            {
                metrics["held_out_loss"] = measured.Loss;
                metrics["dead_neurons"] = measured.DeadNeurons;
            }

            if (point is null) return;
            metrics["l0_fraction"] = point.L0Fraction;
            run.Curve.Add(point);
        });
    }

    /// <summary>Tells of the interventions that it trains under.</summary>
    /// <param name="sequences">Sequences that were changed somewhere, and all.</param>
    /// <param name="heldOutLoss">The held-out loss under them, if it was measured.</param>
    public void ReportInterventions((long Changed, long All) sequences, double? heldOutLoss) => context.Update(run =>
    {
        run.Status.Metrics["intervened_fraction"] = (double)sequences.Changed / sequences.All;
        if (heldOutLoss is { } loss) run.Status.Metrics["held_out_loss_intervened"] = loss;
    });

    /// <summary>Counts, once the training has ended.</summary>
    public void ReportEnd()
    {
        double l0Fraction = trainer.L0Fraction;
        long nonzero = trainer.CountNonzeroParameters();
        context.Update(run =>
        {
            run.Status.Metrics["l0_fraction"] = l0Fraction;
            run.Status.Metrics["nonzero_parameters"] = nonzero;
        });
    }
}
