using Lab.Models;
using Lab.Models.Corpora;
using Lab.Models.Interventions;
using Lab.SparseTraining.Training.Interventions;
using Lab.SparseTraining.Training.Steps;
using static TorchSharp.torch;

namespace Lab.SparseTraining.Training;

/// <summary>What one step did.</summary>
/// <param name="Step">Steps taken, this one included.</param>
/// <param name="Loss">Cross-entropy on the step's batch before the update, nats per token.</param>
/// <param name="GradientRms">RMS of the gradient over all parameters, before scaling.</param>
internal readonly record struct StepResult(long Step, double Loss, double GradientRms);

/// <summary>One training: a model, its optimizer and its data. All members run on one thread.</summary>
internal sealed class SparseTrainer : IDisposable
{
    private readonly SparseOptimizer _optimizer;
    private readonly BatchSampler _sampler;
    private readonly HeldOutEvaluator _evaluator;
    private readonly TrainingSchedule _schedule;
    private readonly TrainingPass? _pass;
    private readonly TrainingInterventions? _interventions;

    public SparseTrainer(TransformerConfig config, TrainingRecipe recipe, TokenSplit train, TokenSplit heldOut, long seed, IReadOnlyList<InterventionRule>? interventions = null)
    {
        if (train.Length <= config.NCtx || heldOut.Length <= config.NCtx)
        {
            throw new ArgumentException($"The corpus has {train.Length} training and {heldOut.Length} held-out tokens; each split needs more than n_ctx = {config.NCtx}.", "config.corpus");
        }

        Recipe = recipe;
        _schedule = new TrainingSchedule(recipe);
        if (interventions is { Count: > 0 }) _interventions = new TrainingInterventions(config, interventions, recipe.BatchSize, seed);
        Model = new Transformer(config, TransformerWeights.Initialize(config, seed));
        BigramCounts.Fill(Model, train);
        _optimizer = new SparseOptimizer(Model.Weights, recipe);
        if (TrainingPass.Supports(Model)) _pass = new TrainingPass(Model, recipe.BatchSize, config.NCtx);
        _sampler = new BatchSampler(train, recipe.BatchSize, config.NCtx, seed);
        _evaluator = new HeldOutEvaluator(heldOut, config, recipe.EvaluationTokens, recipe.BatchSize);
    }

    public Transformer Model { get; }

    public TrainingRecipe Recipe { get; }

    /// <summary>Bytes of activations that a training by hand keeps; 0 where autograd takes them.</summary>
    public long ActivationBytes => _pass?.ActivationBytes ?? 0;

    /// <summary>Steps taken.</summary>
    public long StepsTaken { get; private set; }

    /// <summary>The optimizer, for checkpoints and counts.</summary>
    public SparseOptimizer Optimizer => _optimizer;

    /// <summary>Whether the density has reached its target. True for a dense recipe.</summary>
    public bool IsAnnealed => !Recipe.IsSparse || _schedule.Annealed(StepsTaken) >= 1;

    /// <summary>The learning rate of the last step.</summary>
    public double LearningRate => _schedule.LearningRate(Math.Max(0, StepsTaken - 1));

    /// <summary>Nonzero fraction of the parameters that the recipe makes sparse; 1 if it makes none.</summary>
    public double L0Fraction => _optimizer.CountSparsified() is (var nonzero, var all) && all > 0 ? (double)nonzero / all : 1;

    /// <summary>Parameters that are not zero.</summary>
    public long CountNonzeroParameters()
    {
        using var scope = NewDisposeScope();
        return Model.Weights.All.Sum(parameter => parameter.Value.count_nonzero().item<long>());
    }

    /// <summary>The interventions under which it trains; null without any.</summary>
    public TrainingInterventions? Interventions => _interventions;

    /// <summary>Nonzero fraction of each parameter, in the weights' order.</summary>
    public IDictionary<string, double> NonzeroFractions()
    {
        using var scope = NewDisposeScope();
        return new OrderedDictionary<string, double>(Model.Weights.All.Select(
            parameter => KeyValuePair.Create(parameter.Name, (double)parameter.Value.count_nonzero().item<long>() / parameter.Value.numel())));
    }

    /// <summary>Takes one step.</summary>
    /// <exception cref="ArithmeticException">The loss, the gradient or a matrix is not finite.</exception>
    public StepResult Step()
    {
        double loss, rms;
        using InterventionTap? tap = _interventions?.TapFor(StepsTaken, _sampler.Read(StepsTaken));
        try
        {
            // Nothing can be changed within the pass by hand.
            loss = (tap is null ? _pass?.Run(_sampler.Read(StepsTaken)) : null) ?? RunWithAutograd(tap);
            rms = _optimizer.Step(StepsTaken);
        }
        catch (ArithmeticException e)
        {
            throw new ArithmeticException($"Step {StepsTaken}: {e.Message} A lower learning rate may help.", e);
        }

        StepsTaken++;
        return new StepResult(StepsTaken, loss, rms);
    }

    /// <summary>Evaluates on the held-out split.</summary>
    public HeldOutEvaluation Evaluate(CancellationToken ct) => _evaluator.Evaluate(Model, ct);

    /// <summary>The loss on the held-out split under the interventions of the training, in nats per token; null without any.</summary>
    public double? EvaluateIntervened(CancellationToken ct) => _interventions is null ? null : _evaluator.LossUnder(_interventions, Model, ct);

    /// <summary>Continues after this many steps; parameters and moments have been restored.</summary>
    public void ContinueFrom(long stepsTaken) => StepsTaken = stepsTaken;

    public void Dispose()
    {
        _pass?.Dispose();
        _optimizer.Dispose();
        Model.Dispose();
    }

    private double RunWithAutograd(InterventionTap? tap)
    {
        using var scope = NewDisposeScope();
        Tensor loss = HeldOutEvaluator.NextTokenLoss(Model, _sampler.Batch(StepsTaken), tap);
        double value = loss.item<float>();
        if (!double.IsFinite(value)) throw new ArithmeticException($"The loss became {value}.");
        loss.backward();
        return value;
    }
}
