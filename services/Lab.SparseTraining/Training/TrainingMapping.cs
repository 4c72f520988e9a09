using Lab.Models;
using Lab.ServiceDefaults.Errors;
using Proto = Lab.Protos.SparseTraining.V1;

namespace Lab.SparseTraining.Training;

/// <summary>Turns a TrainingConfig into the core's records, filling in the defaults that the proto states.</summary>
internal static class TrainingMapping
{
    /// <summary>The architecture, for a vocabulary of the given size.</summary>
    public static TransformerConfig ToTransformerConfig(Proto.ModelConfig? model, int vocabSize) => ModelMapping.ToTransformerConfig(model, vocabSize);

    /// <summary>The recipe.</summary>
    public static TrainingRecipe ToRecipe(Proto.RecipeConfig? recipe)
    {
        recipe ??= new Proto.RecipeConfig();
        double weightFraction = recipe.HasWeightFraction ? recipe.WeightFraction : 1;
        return new TrainingRecipe
        {
            Steps = recipe.Steps == 0 ? 1000 : recipe.Steps,
            BatchSize = Or(recipe.BatchSize, 32),
            LearningRate = recipe.LearningRate == 0 ? 1.28e-2 : recipe.LearningRate,
            WarmupFraction = recipe.HasWarmupFraction ? recipe.WarmupFraction : 0.01,
            WeightFraction = weightFraction,
            EmbeddingFraction = recipe.HasEmbeddingFraction ? recipe.EmbeddingFraction : weightFraction,
            BiasFraction = recipe.HasBiasFraction ? recipe.BiasFraction : 1,
            MinNonzeroPerNeuron = recipe.HasMinNonzeroPerNeuron ? recipe.MinNonzeroPerNeuron : 4,
            AnnealStartFraction = recipe.HasAnnealStartFraction ? recipe.AnnealStartFraction : null,
            AnnealEndFraction = recipe.HasAnnealEndFraction ? recipe.AnnealEndFraction : 0.5,
            AnnealMode = recipe.AnnealMode == Proto.AnnealMode.PowerLaw ? AnnealMode.PowerLaw : AnnealMode.Linear,
            AnnealExponent = recipe.AnnealExponent == 0 ? 1 : recipe.AnnealExponent,
            EmbeddingSchedule = recipe.EmbeddingSchedule == Proto.EmbeddingSchedule.Late ? EmbeddingSchedule.Late : EmbeddingSchedule.Proportional,
            LearningRateDecay = !recipe.HasLearningRateDecay || recipe.LearningRateDecay,
            Sharkfin = !recipe.HasSharkfin || recipe.Sharkfin,
            GradientScaling = recipe.GradientScaling switch
            {
                Proto.GradientScaling.Clip => GradientScaling.Clip,
                Proto.GradientScaling.None => GradientScaling.None,
                _ => GradientScaling.Normalise,
            },
            WeightDecay = recipe.HasWeightDecay ? recipe.WeightDecay : 0.1,
            Beta1 = recipe.HasBeta1 ? recipe.Beta1 : 0.9,
            Beta2 = recipe.HasBeta2 ? recipe.Beta2 : 0.95,
            Epsilon = recipe.HasEpsilon ? recipe.Epsilon : 0.1,
            EvaluationInterval = recipe.EvaluationInterval == 0 ? 100 : recipe.EvaluationInterval,
            CheckpointInterval = recipe.CheckpointInterval == 0 ? 200 : recipe.CheckpointInterval,
            TargetHeldOutLoss = recipe.HasTargetHeldOutLoss ? recipe.TargetHeldOutLoss : null,
            EvaluationTokens = recipe.EvaluationTokens == 0 ? 32768 : recipe.EvaluationTokens,
        };
    }

    /// <summary>Checks what can be checked without the corpus.</summary>
    /// <exception cref="InvalidRequestException">Names every field that is wrong.</exception>
    public static void Validate(Proto.TrainingConfig? config)
    {
        List<FieldViolation> violations = [];
        void Require(bool holds, string field, string message)
        {
            if (!holds) violations.Add(new FieldViolation($"config.{field}", message));
        }

        Require(!string.IsNullOrEmpty(config?.Corpus), "corpus", "is required");
        Require(config is not { EvaluateInterventions: true, Interventions.Count: 0 }, "evaluate_interventions", "needs interventions");
        ModelMapping.Check(config?.Model ?? new Proto.ModelConfig(), Require);

        Proto.RecipeConfig recipe = config?.Recipe ?? new Proto.RecipeConfig();
        Require(recipe.Steps >= 0, "recipe.steps", "must be positive");
        Require(recipe.BatchSize is >= 0 and <= 65536, "recipe.batch_size", $"must be from 1 to 65536, not {recipe.BatchSize}");
        Require(recipe.LearningRate >= 0 && double.IsFinite(recipe.LearningRate), "recipe.learning_rate", "must be positive and finite");
        RequireFraction(recipe.HasWeightFraction, recipe.WeightFraction, "recipe.weight_fraction");
        RequireFraction(recipe.HasEmbeddingFraction, recipe.EmbeddingFraction, "recipe.embedding_fraction");
        RequireFraction(recipe.HasBiasFraction, recipe.BiasFraction, "recipe.bias_fraction");
        Require(recipe.WarmupFraction is >= 0 and < 1, "recipe.warmup_fraction", "must be at least 0 and below 1");
        CheckAnnealing(ToRecipe(recipe), recipe, Require);
        Require(recipe.MinNonzeroPerNeuron >= 0, "recipe.min_nonzero_per_neuron", "must not be negative");
        Require(!recipe.HasBeta1 || recipe.Beta1 is >= 0 and < 1, "recipe.beta1", "must be at least 0 and below 1");
        Require(!recipe.HasBeta2 || recipe.Beta2 is >= 0 and < 1, "recipe.beta2", "must be at least 0 and below 1");
        Require(!recipe.HasEpsilon || (recipe.Epsilon > 0 && double.IsFinite(recipe.Epsilon)), "recipe.epsilon", "must be positive and finite");
        Require(recipe.WeightDecay >= 0 && double.IsFinite(recipe.WeightDecay), "recipe.weight_decay", "must be finite and not negative");
        Require(recipe.EvaluationInterval >= 0, "recipe.evaluation_interval", "must not be negative");
        Require(recipe.CheckpointInterval >= 0, "recipe.checkpoint_interval", "must not be negative");
        Require(recipe.EvaluationTokens >= 0, "recipe.evaluation_tokens", "must not be negative");
        Require(!recipe.HasTargetHeldOutLoss || (recipe.TargetHeldOutLoss > 0 && double.IsFinite(recipe.TargetHeldOutLoss)), "recipe.target_held_out_loss", "must be positive and finite");
        Require(!(recipe.BiasFraction is > 0 and < 1) || config?.Model is not { HasBias: true, Bias: false, NormBias: false }, "recipe.bias_fraction", "is only for a model with biases");
        Require(config?.TaskPairs is null or (>= 0 and <= 4096), "task_pairs", "must be 0 to 4096");
        violations.AddRange(TrainingRunMapping.Violations(config));
        if (violations.Count > 0) throw new InvalidRequestException([.. violations]);

        void RequireFraction(bool isSet, double value, string field) =>
            Require(!isSet || value is > 0 and <= 1, field, $"must be above 0 and at most 1, not {value}");
    }

    /// <summary>Checks that matrices have room for the least nonzeros of each neuron. The architecture of a fork must have been filled in.</summary>
    /// <exception cref="ArgumentException">One has not. ParamName is the field.</exception>
    public static void RequireRoom(Proto.TrainingConfig config) => NeuronFloor.Require(ToTransformerConfig(config.Model, vocabSize: 2), ToRecipe(config.Recipe));

    /// <summary>Checks that weights and moments have room in memory. The architecture of a fork must have been filled in.</summary>
    /// <exception cref="ArgumentException">They have not. ParamName is the field.</exception>
    public static void RequireMemory(Proto.TrainingConfig config, long availableBytes) => MemoryFloor.Require(ToTransformerConfig(config.Model, vocabSize: 2), availableBytes);

    private static void CheckAnnealing(TrainingRecipe recipe, Proto.RecipeConfig asked, Action<bool, string, string> require)
    {
        double start = recipe.AnnealStartFraction ?? recipe.WarmupFraction, end = recipe.AnnealEndFraction;
        require(end is >= 0 and <= 1, "recipe.anneal_end_fraction", "must be from 0 to 1");
        require(start is >= 0 and < 1, "recipe.anneal_start_fraction", "must be at least 0 and below 1");
        require(end == 0 || !(end <= start), "recipe.anneal_end_fraction", $"{end} is not after where annealing begins, {start}");
        require(Enum.IsDefined(asked.AnnealMode), "recipe.anneal_mode", $"has no value {asked.AnnealMode}");
        require(recipe.AnnealMode == AnnealMode.Linear || end == 0 || start > 0, "recipe.anneal_start_fraction", "must be above 0 for a power law");
        require(recipe.AnnealExponent > 0 && double.IsFinite(recipe.AnnealExponent), "recipe.anneal_exponent", "must be positive and finite");
        require(asked.AnnealExponent == 0 || recipe.AnnealMode == AnnealMode.Linear, "recipe.anneal_exponent", "is only for the linear mode");
        require(Enum.IsDefined(asked.EmbeddingSchedule), "recipe.embedding_schedule", $"has no value {asked.EmbeddingSchedule}");
        require(recipe.EmbeddingSchedule == EmbeddingSchedule.Proportional || recipe.WeightFraction < 1, "recipe.embedding_schedule", "needs a weight_fraction below 1");
        require(Enum.IsDefined(asked.GradientScaling), "recipe.gradient_scaling", $"has no value {asked.GradientScaling}");
    }

    private static int Or(int value, int fallback) => value == 0 ? fallback : value;
}
