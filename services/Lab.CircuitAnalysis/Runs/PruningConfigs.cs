using Lab.CircuitAnalysis.Pruning;
using Lab.Models.Tasks;
using Lab.Protos.CircuitAnalysis.V1;
using Lab.ServiceDefaults.Errors;

namespace Lab.CircuitAnalysis.Runs;

/// <summary>Reads the config of a run: defaults and ranges.</summary>
internal static class PruningConfigs
{
    private const int MostPairs = 100_000, MostPenalties = 32, MostRandomCircuits = 10_000, MostMeanTokens = 1 << 26, MostSteps = 1_000_000;

    /// <summary>The config with every default filled in.</summary>
    public static PruningSettings ToSettings(this PruningConfig config)
    {
        PruningSettings defaults = new();
        return new PruningSettings
        {
            TargetLoss = Or(config.TargetLoss, defaults.TargetLoss),
            Steps = (int)Or(config.Steps, defaults.Steps),
            BatchPairs = (int)Or(config.BatchPairs, defaults.BatchPairs),
            NodePenalties = config.NodePenalties.Count > 0 ? [.. config.NodePenalties] : defaults.NodePenalties,
            LearningRate = Or(config.LearningRate, defaults.LearningRate),
            HeavisideTemperature = Or(config.HeavisideTemperature, defaults.HeavisideTemperature),
            TrainingPairs = (int)Or(config.TrainingPairs, defaults.TrainingPairs),
            HeldOutPairs = (int)Or(config.HeldOutPairs, defaults.HeldOutPairs),
            RandomCircuits = (int)Or(config.RandomCircuits, defaults.RandomCircuits),
            MeanTokens = (int)Or(config.MeanTokens, defaults.MeanTokens),
            Seed = config.Seed,
            CleanUp = !config.SkipCleanUp,
        };

        static double Or(double value, double otherwise) => value == 0 ? otherwise : value;
    }

    /// <summary>Checks all that can be checked without the artifacts.</summary>
    /// <exception cref="InvalidRequestException">Names every field that is wrong.</exception>
    public static void Validate(PruningConfig? config)
    {
        if (config is null) throw new InvalidRequestException("config", "is required.");
        List<FieldViolation> violations = [];
        void Check(bool holds, string field, string description)
        {
            if (!holds) violations.Add(new FieldViolation($"config.{field}", description));
        }

        Check(config.Model.Length > 0, "model", "is required.");
        Check(config.Corpus.Length > 0, "corpus", "is required.");
        Check(PythonTask.All.Any(task => task.Name == config.Task), "task",
            $"is '{config.Task}', but must be one of: {string.Join(", ", PythonTask.All.Select(task => task.Name))}.");
        Check(config.TargetLoss is >= 0 and <= 100, "target_loss", $"must be from 0 to 100, not {config.TargetLoss}.");
        Check(config.Steps is >= 0 and <= MostSteps, "steps", $"must be from 0 to {MostSteps}, not {config.Steps}.");
        Check(config.BatchPairs is >= 0 and <= MostPairs, "batch_pairs", $"must be from 0 to {MostPairs}, not {config.BatchPairs}.");
        Check(config.NodePenalties.Count <= MostPenalties, "node_penalties", $"must be at most {MostPenalties}, not {config.NodePenalties.Count}.");
        Check(config.NodePenalties.All(penalty => penalty is >= 0 and <= 100), "node_penalties", "must each be from 0 to 100.");
        Check(config.LearningRate is >= 0 and <= 10, "learning_rate", $"must be from 0 to 10, not {config.LearningRate}.");
        Check(config.HeavisideTemperature is 0 or (>= 1e-3 and <= 1e3), "heaviside_temperature", $"must be 0 or from 0.001 to 1000, not {config.HeavisideTemperature}.");
        Check(config.TrainingPairs is >= 0 and <= MostPairs, "training_pairs", $"must be from 0 to {MostPairs}, not {config.TrainingPairs}.");
        Check(config.HeldOutPairs is >= 0 and <= MostPairs, "held_out_pairs", $"must be from 0 to {MostPairs}, not {config.HeldOutPairs}.");
        Check(config.RandomCircuits is >= 0 and <= MostRandomCircuits, "random_circuits", $"must be from 0 to {MostRandomCircuits}, not {config.RandomCircuits}.");
        Check(config.MeanTokens is >= 0 and <= MostMeanTokens, "mean_tokens", $"must be from 0 to {MostMeanTokens}, not {config.MeanTokens}.");
        if (violations.Count == 0)
        {
            PruningSettings settings = config.ToSettings();
            Check(settings.BatchPairs <= settings.TrainingPairs, "batch_pairs", $"is {settings.BatchPairs}, but there are only {settings.TrainingPairs} training pairs.");
        }

        if (violations.Count > 0) throw new InvalidRequestException([.. violations]);
    }
}
