namespace Lab.CircuitAnalysis.Pruning;

/// <summary>How to prune. The values and their defaults are those of the proto's PruningConfig.</summary>
internal sealed record PruningSettings
{
    public double TargetLoss { get; init; } = 0.15;

    public int Steps { get; init; } = 300;

    public int BatchPairs { get; init; } = 32;

    public IReadOnlyList<double> NodePenalties { get; init; } = [3e-5, 1e-4, 3e-4];

    public double LearningRate { get; init; } = 3e-2;

    public double HeavisideTemperature { get; init; } = 1;

    public int TrainingPairs { get; init; } = 512;

    public int HeldOutPairs { get; init; } = 128;

    public int RandomCircuits { get; init; } = 20;

    public int MeanTokens { get; init; } = 8192;

    public long Seed { get; init; }

    public bool CleanUp { get; init; } = true;
}
