using Lab.ServiceDefaults.Runs;
using Lab.Tensors;
using Proto = Lab.Protos.SparseTraining.V1;

namespace Lab.SparseTraining.Training;

/// <summary>One execution of a training run: steps, evaluations and checkpoints. All members run on one thread.</summary>
internal sealed class TrainingSession : IDisposable
{
    private readonly RunContext<Proto.TrainingRun> _context;
    private readonly SparseTrainer _trainer;
    private readonly CheckpointFolder _checkpoints;
    private readonly TimeProvider _time;
    private readonly TrainingMonitor _monitor;
    private readonly CheckpointPlan _plan;
    private readonly BackgroundSave _saves = new();
    private readonly long _extendedFrom;
    private long _checkpointTimestamp;
    private long _checkpointStep = -1;
    private long _publishedStep;

    /// <summary>Takes the training up at its last checkpoint. Owns the trainer from now on.</summary>
    /// <exception cref="InvalidDataException">The checkpoint cannot be used, or a fork has none. As with every exception, the trainer has been disposed.</exception>
    public TrainingSession(RunContext<Proto.TrainingRun> context, SparseTrainer trainer, Func<string, Stream>? create, MatmulPeak peak, TimeProvider time)
    {
        (_context, _trainer, _time) = (context, trainer, time);
        _plan = TrainingRunMapping.ToCheckpointPlan(context.Run.Config);
        _checkpoints = new CheckpointFolder(context.WorkFolder, _plan.Kept, create);
        Curve = new TrainingCurve(trainer.Recipe.DecaySteps);
        try
        {
            if (_checkpoints.RestoreNewest(trainer, Curve))
                _checkpointStep = trainer.StepsTaken;
            else if (context.Run.Config.Fork is { } fork)
                throw new InvalidDataException($"{context.WorkFolder} has no checkpoint, although the run began with one of {fork.TrainingRun}. Put it back and resume the run, or fork anew.");
        }
        catch
        {
            trainer.Dispose();
            throw;
        }

        _extendedFrom = context.Run.Extensions is [.., { } extension] ? extension.FromStep : -1;
        _publishedStep = context.Run.PublishedStep;
        _checkpointTimestamp = time.GetTimestamp();
        _monitor = new TrainingMonitor(context, trainer, peak, time);
        _monitor.ReportStart(Curve);
        _monitor.ReportCheckpoints(_checkpoints);
    }

    /// <summary>The curve so far.</summary>
    public TrainingCurve Curve { get; }

    /// <summary>The training.</summary>
    public SparseTrainer Trainer => _trainer;

    /// <summary>How the training has ended; unspecified before.</summary>
    public Proto.TrainingEnd Ended { get; private set; }

    /// <summary>Trains until the model is due to be published, which gives false, or to the end. Then all checkpoints are stored.</summary>
    /// <exception cref="IOException">A checkpoint could not be stored.</exception>
    public bool TrainOn(CancellationToken ct)
    {
        Proto.TrainingEnd end;
        while ((end = End()) == Proto.TrainingEnd.Unspecified)
        {
            if (ct.IsCancellationRequested)
            {
                // Cancelled, or the service stops: what is done is kept.
                Checkpoint();
                _saves.Wait();
                ct.ThrowIfCancellationRequested();
            }

            _saves.ThrowIfFailed();
            StepResult result = _trainer.Step();
            Proto.TrainingEvaluation? evaluation = result.Step % _trainer.Recipe.EvaluationInterval == 0 ? Evaluate(ct) : null;
            bool hasPoint = Curve.Add(result, evaluation, () => _trainer.L0Fraction);
            _monitor.Report(result, Curve, hasPoint);
            if (_trainer.Interventions is { } interventions) _monitor.ReportInterventions(interventions.Counts);
            if (evaluation is not null) _monitor.ReportSpeed();
            if (!IsCheckpointDue(result.Step)) continue;
            Checkpoint();
            if (_plan.PublishInterval == 0 || result.Step - _publishedStep < _plan.PublishInterval || End() != Proto.TrainingEnd.Unspecified) continue;
            _saves.Wait();
            _publishedStep = result.Step;
            return false;
        }

        // A crash while the model is being stored must not train again.
        Checkpoint();
        // Measured after the checkpoint: a training that is extended has the curve of one that had never ended here.
        if (Curve.Evaluations is not [.., { } newest] || newest.Step != _trainer.StepsTaken)
            Curve.AddEvaluation(_trainer.StepsTaken, Evaluate(ct), _trainer.L0Fraction);
        _saves.Wait();
        _monitor.ReportSpeed();
        _monitor.ReportEnd(Curve);
        Ended = end;
        return true;
    }

    public void Dispose()
    {
        _saves.Dispose();
        _trainer.Dispose();
    }

    private Proto.TrainingEnd End()
    {
        if (_trainer.StepsTaken >= _trainer.Recipe.Steps) return Proto.TrainingEnd.StepsTaken;
        if (HasReachedTarget()) return Proto.TrainingEnd.TargetReached;
        return _monitor.IsStopRequested ? Proto.TrainingEnd.Stopped : Proto.TrainingEnd.Unspecified;
    }

    /// <summary>
    /// Judged by the curve, which checkpoints keep: a training that had reached its target is not gone on with, unless it was extended
    /// since.
    /// </summary>
    private bool HasReachedTarget() =>
        _trainer.IsAnnealed && _trainer.StepsTaken > _extendedFrom && Curve.Points is [.., { HasHeldOutLoss: true } last] && last.Step == _trainer.StepsTaken
        && last.HeldOutLoss <= _trainer.Recipe.TargetHeldOutLoss;

    private bool IsCheckpointDue(long step) =>
        step % _trainer.Recipe.CheckpointInterval == 0 || _time.GetElapsedTime(_checkpointTimestamp) >= _plan.TimeInterval;

    /// <summary>Writes a checkpoint; the training goes on while the disk takes it. Does nothing if that of this step is stored.</summary>
    private void Checkpoint()
    {
        if (_checkpointStep == _trainer.StepsTaken) return;
        _saves.Wait();
        // The run's record first: if this is the last checkpoint, nothing measures the metrics again after a crash.
        _context.Update(_ => { }, persist: true);
        PendingFile checkpoint = _checkpoints.Begin(_trainer, Curve);
        _saves.Begin(() =>
        {
            _checkpoints.Commit(checkpoint);
            _monitor.ReportCheckpoints(_checkpoints);
        });
        (_checkpointStep, _checkpointTimestamp) = (_trainer.StepsTaken, _time.GetTimestamp());
    }

    private Proto.TrainingEvaluation Evaluate(CancellationToken ct)
    {
        HeldOutEvaluation measured = _trainer.Evaluate(ct);
        if (_context.Run.Config.EvaluateInterventions && _trainer.EvaluateIntervened(ct) is { } loss) _monitor.ReportIntervenedLoss(loss);
        return new Proto.TrainingEvaluation
        {
            Step = _trainer.StepsTaken,
            HeldOutLoss = measured.Loss,
            LearningRate = _trainer.LearningRate,
            L0 = { _trainer.NonzeroFractions() },
            DeadNeurons = { measured.DeadNeurons },
            ActivationFractions = { new SortedDictionary<string, double>(measured.ActivationFractions.ToDictionary(), StringComparer.Ordinal) },
            ResidualKurtosis = measured.ResidualKurtosis,
        };
    }
}
