namespace Lab.SparseTraining.Training;

/// <summary>
/// Learning rate and density at each step (Gao et al. 2025, section 2.1; the authors' script). Density falls linearly from
/// 1 to the target between the end of the warm-up and the end of annealing; the learning rate warms up, decays linearly to 0
/// and is multiplied by sqrt(target density / density), which makes the fin.
/// </summary>
internal sealed class TrainingSchedule(TrainingRecipe recipe)
{
    private readonly double _warmupSteps = recipe.WarmupFraction * recipe.PlannedSteps;

    /// <summary>How much of the annealing is done at a step: 0 is dense, 1 is the target.</summary>
    public double Annealed(long step)
    {
        double end = recipe.AnnealEndFraction * recipe.PlannedSteps;
        if (end <= _warmupSteps) return 1;
        return Math.Clamp((step - _warmupSteps) / (end - _warmupSteps), 0, 1);
    }

    /// <summary>The fraction of nonzeros at a step, on the way to <paramref name="target"/>.</summary>
    public double Density(long step, double target) => 1 + (target - 1) * Annealed(step);

    /// <summary>The learning rate at a step.</summary>
    public double LearningRate(long step)
    {
        double rate = step < _warmupSteps
            ? recipe.LearningRate * step / _warmupSteps
            : recipe.LearningRate * Math.Min(1, 1 - (step - _warmupSteps) / (recipe.DecaySteps - _warmupSteps));
        return recipe.Sharkfin ? rate * Math.Sqrt(recipe.WeightFraction / Density(step, recipe.WeightFraction)) : rate;
    }
}
