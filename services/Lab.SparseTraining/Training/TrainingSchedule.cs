namespace Lab.SparseTraining.Training;

/// <summary>
/// Learning rate and density at each step (Gao et al. 2025, section 2.1; the authors' script). Density falls from 1 to the target
/// between the begin and the end of annealing; the learning rate warms up, decays linearly to 0 and is multiplied by
/// sqrt(target density / density), which makes the fin.
/// </summary>
internal sealed class TrainingSchedule(TrainingRecipe recipe)
{
    // Whole steps, as in the script; the steps of annealing are not rounded there either.
    private readonly double _warmupSteps = Math.Floor(recipe.WarmupFraction * recipe.PlannedSteps);
    private readonly double _start = (recipe.AnnealStartFraction ?? recipe.WarmupFraction) * recipe.PlannedSteps;
    private readonly double _end = recipe.AnnealEndFraction * recipe.PlannedSteps;

    /// <summary>How much of the annealing is done at a step: 0 is dense, 1 is the target.</summary>
    public double Annealed(long step) => recipe.AnnealMode == AnnealMode.PowerLaw && recipe.WeightFraction < 1
        ? (1 - WeightDensity(step)) / (1 - recipe.WeightFraction)
        : LinearProgress(step);

    /// <summary>The fraction of nonzeros of weights at a step, on the way to <see cref="TrainingRecipe.WeightFraction"/>.</summary>
    public double WeightDensity(long step)
    {
        double target = recipe.WeightFraction;
        if (recipe.AnnealMode == AnnealMode.Linear) return 1 + ((target - 1) * LinearProgress(step));
        if (step >= _end || _end <= _start) return target;
        return step <= _start ? 1 : Math.Pow(target, Math.Log(step / _start) / Math.Log(_end / _start));
    }

    /// <summary>The fraction of nonzeros of embeddings or biases at a step, on the way to <paramref name="target"/>.</summary>
    public double EmbeddingDensity(long step, double target) => recipe.EmbeddingSchedule == EmbeddingSchedule.Late
        ? Math.Min(1, WeightDensity(step) * target / recipe.WeightFraction)
        : 1 + ((target - 1) * Annealed(step));

    /// <summary>The learning rate at a step.</summary>
    public double LearningRate(long step)
    {
        double decay = recipe.LearningRateDecay ? Math.Min(1, 1 - ((step - _warmupSteps) / (recipe.DecaySteps - _warmupSteps))) : 1;
        double rate = step < _warmupSteps ? recipe.LearningRate * step / _warmupSteps : recipe.LearningRate * decay;
        return recipe.Sharkfin ? rate * Math.Sqrt(recipe.WeightFraction / WeightDensity(step)) : rate;
    }

    private double LinearProgress(long step)
    {
        if (_end <= _start) return 1;
        double progress = Math.Clamp((step - _start) / (_end - _start), 0, 1);
        // Also with an exponent of 1: the script's rounding decides how many entries stay.
        return 1 - Math.Pow(1 - progress, recipe.AnnealExponent);
    }
}
