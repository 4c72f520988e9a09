namespace Lab.SparseTraining.Training;

/// <summary>What is done to the gradient before Adam sees it.</summary>
internal enum GradientScaling
{
    /// <summary>Divided by its RMS over all parameters, always (the authors' script).</summary>
    Normalise,

    /// <summary>Divided by its RMS where that exceeds 1 (the paper's text).</summary>
    Clip,

    /// <summary>Left alone.</summary>
    None,
}

/// <summary>How density falls from 1 to its target.</summary>
internal enum AnnealMode
{
    /// <summary>In a straight line over steps, or bent by an exponent.</summary>
    Linear,

    /// <summary>In a straight line of log density over log step.</summary>
    PowerLaw,
}

/// <summary>How the density of embeddings and biases falls while that of weights does.</summary>
internal enum EmbeddingSchedule
{
    /// <summary>As much of the way as the weights (the authors' script).</summary>
    Proportional,

    /// <summary>Dense for most of the annealing, then fast: the mistake of the paper's models.</summary>
    Late,
}

/// <summary>How to train; see RecipeConfig in training_run.proto for units and defaults.</summary>
internal sealed record TrainingRecipe
{
    /// <summary>Where the training ends.</summary>
    public required long Steps { get; init; }

    /// <summary>The steps that warm-up and annealing are fractions of; <see cref="Steps"/>, unless the training was extended.</summary>
    public long PlannedSteps { get => field == 0 ? Steps : field; init; }

    /// <summary>Where the learning rate has fallen to 0; <see cref="Steps"/>, unless the training was extended.</summary>
    public long DecaySteps { get => field == 0 ? Steps : field; init; }

    public required int BatchSize { get; init; }

    public double LearningRate { get; init; } = 1.28e-2;

    public double WarmupFraction { get; init; } = 0.01;

    public double WeightFraction { get; init; } = 1;

    public double EmbeddingFraction { get; init; } = 1;

    public double BiasFraction { get; init; } = 1;

    public int MinNonzeroPerNeuron { get; init; } = 4;

    /// <summary>Null for where warm-up ends.</summary>
    public double? AnnealStartFraction { get; init; }

    public double AnnealEndFraction { get; init; } = 0.5;

    public AnnealMode AnnealMode { get; init; }

    public double AnnealExponent { get; init; } = 1;

    public EmbeddingSchedule EmbeddingSchedule { get; init; }

    public bool LearningRateDecay { get; init; } = true;

    public bool Sharkfin { get; init; } = true;

    public GradientScaling GradientScaling { get; init; } = GradientScaling.Normalise;

    public double WeightDecay { get; init; } = 0.1;

    public double Beta1 { get; init; } = 0.9;

    public double Beta2 { get; init; } = 0.95;

    public double Epsilon { get; init; } = 0.1;

    public long EvaluationInterval { get; init; } = 100;

    public long CheckpointInterval { get; init; } = 200;

    public long EvaluationTokens { get; init; } = 32768;

    public double? TargetHeldOutLoss { get; init; }

    public bool IsSparse => WeightFraction < 1 || EmbeddingFraction < 1 || BiasFraction < 1;
}
