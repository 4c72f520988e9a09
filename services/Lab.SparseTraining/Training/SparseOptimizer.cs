using Lab.Models;
using Lab.Tensors.Kernels;
using static TorchSharp.torch;

namespace Lab.SparseTraining.Training;

/// <summary>
/// One optimizer step in the order of the authors' script: scale the gradient, Adam, project every matrix on its k largest
/// entries, then decay. Gradients and moments stay dense, so that zeroed weights can come back.
/// </summary>
internal sealed class SparseOptimizer : IDisposable
{
    private readonly TrainingRecipe _recipe;
    private readonly TrainingSchedule _schedule;
    private readonly List<Entry> _entries;

    public SparseOptimizer(TransformerWeights weights, TrainingRecipe recipe)
    {
        _recipe = recipe;
        _schedule = new TrainingSchedule(recipe);
        _entries = [.. weights.Trained.Select(parameter =>
        {
            (double target, NeuronAxis axis, bool isWeight) = Rule(weights, parameter);
            return new Entry(
                parameter.Name,
                parameter.Value,
                zeros_like(parameter.Value).DetachFromDisposeScope(),
                zeros_like(parameter.Value).DetachFromDisposeScope(),
                target,
                axis,
                isWeight,
                IsDecayed: parameter.Value.dim() > 1 && parameter.Name != "bigram_table");
        })];
        foreach (Entry entry in _entries)
        {
            entry.Parameter.requires_grad = true;
            if (entry.Axis != NeuronAxis.None) NeuronFloor.Require(entry.Name, entry.Parameter.shape[0], entry.Parameter.shape[1], entry.Axis, entry.Target, recipe);
        }
    }

    /// <summary>Parameters with their moments, in the weights' order.</summary>
    public IEnumerable<(string Name, Tensor Parameter, Tensor FirstMoment, Tensor SecondMoment)> State =>
        _entries.Select(entry => (entry.Name, entry.Parameter, entry.FirstMoment, entry.SecondMoment));

    /// <summary>Applies the accumulated gradients and clears them.</summary>
    /// <param name="step">The step's number, from 0.</param>
    /// <returns>The RMS of the gradient over all parameters, before scaling.</returns>
    /// <exception cref="ArithmeticException">The gradient is not finite, and nothing has been changed; or a matrix has become so.</exception>
    public double Step(long step)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        double rms = GradientRms();
        // Before anything is changed: what is trained so far can still be stored and gone on with.
        if (!double.IsFinite(rms)) throw new ArithmeticException($"The gradient's RMS became {rms}.");
        double learningRate = _schedule.LearningRate(step);
        double scale = _recipe.GradientScaling switch
        {
            GradientScaling.Normalise => 1 / (rms + 1e-5),
            GradientScaling.Clip => rms > 1 ? 1 / rms : 1,
            _ => 1,
        };
        AdamConstants constants = new(learningRate, _recipe.Beta1, _recipe.Beta2, _recipe.Epsilon, scale, step + 1);
        foreach (Entry entry in _entries)
        {
            if (entry.Parameter.grad is not { } gradient) continue;
            double decay = entry.IsDecayed ? 1 - _recipe.WeightDecay * learningRate : 1;
            MatrixUpdate.Apply(entry.Name, entry.Parameter, gradient.contiguous(), entry.FirstMoment, entry.SecondMoment, constants, Projected(entry, step), decay);
            entry.Parameter.grad = null;
        }

        return rms;
    }

    /// <summary>Nonzero and all entries of the parameters that the recipe makes sparse; (0, 0) if it makes none.</summary>
    public (long Nonzero, long All) CountSparsified()
    {
        using var scope = NewDisposeScope();
        (long nonzero, long all) = (0, 0);
        foreach (Entry entry in _entries.Where(entry => entry.Target < 1))
        {
            nonzero += entry.Parameter.count_nonzero().item<long>();
            all += entry.Parameter.numel();
        }

        return (nonzero, all);
    }

    public void Dispose()
    {
        foreach (Entry entry in _entries)
        {
            entry.FirstMoment.Dispose();
            entry.SecondMoment.Dispose();
        }
    }

    private Projection Projected(Entry entry, long step)
    {
        long count = entry.Parameter.numel();
        if (entry.Target >= 1) return new Projection(count);
        double density = entry.IsWeight ? _schedule.WeightDensity(step) : _schedule.EmbeddingDensity(step, entry.Target);
        long kept = (long)(density * count);
        return new Projection(Math.Max(1, kept), entry.Axis, _recipe.MinNonzeroPerNeuron);
    }

    private double GradientRms()
    {
        (double squares, long count) = (0, 0);
        foreach (Entry entry in _entries)
        {
            count += entry.Parameter.numel();
            if (entry.Parameter.grad is { } gradient) squares += SumOfSquares.Of(gradient);
        }

        return Math.Sqrt(squares / count);
    }

    private (double Target, NeuronAxis Axis, bool IsWeight) Rule(TransformerWeights weights, NamedParameter parameter) => parameter.Name switch
    {
        "bigram_table" => (1, NeuronAxis.None, false),
        "transformer.wte.weight" or "lm_head.weight" => (_recipe.EmbeddingFraction, NeuronAxis.None, false),
        // The script leaves concatenated positions alone, and treats added ones as a weight without neurons.
        "transformer.wpe.weight" => (weights.Blocks[0].PositionNorm1 is null ? _recipe.WeightFraction : 1, NeuronAxis.None, true),
        _ when parameter.Name.EndsWith("bias", StringComparison.Ordinal) => (_recipe.BiasFraction, NeuronAxis.None, false),
        _ when parameter.Value.dim() == 1 => (1, NeuronAxis.None, false),
        _ when parameter.Name.EndsWith("c_proj.weight", StringComparison.Ordinal) => (_recipe.WeightFraction, NeuronAxis.Columns, true),
        _ => (_recipe.WeightFraction, NeuronAxis.Rows, true),
    };

    private sealed record Entry(string Name, Tensor Parameter, Tensor FirstMoment, Tensor SecondMoment, double Target, NeuronAxis Axis, bool IsWeight, bool IsDecayed);
}
