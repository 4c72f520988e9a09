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

    public double AnnealEndFraction { get; init; } = 0.5;

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
