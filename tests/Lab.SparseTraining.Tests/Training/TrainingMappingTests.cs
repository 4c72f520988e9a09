using Lab.Models;
using Lab.ServiceDefaults.Errors;
using Lab.SparseTraining.Training;
using Proto = Lab.Protos.SparseTraining.V1;

namespace Lab.SparseTraining.Tests.Training;

public sealed class TrainingMappingTests
{
    /// <summary>A change that makes a config wrong, and the field that is to be named.</summary>
    public static TheoryData<string> Wrong => [.. Mistakes.Keys];

    private static Dictionary<string, Action<Proto.TrainingConfig>> Mistakes => new()
    {
        ["config.corpus"] = config => config.Corpus = "",
        ["config.evaluate_interventions"] = config => config.EvaluateInterventions = true,
        ["config.task_pairs"] = config => config.TaskPairs = 4097,
        ["config.model.n_layers"] = config => config.Model.NLayers = 65,
        ["config.model.d_model"] = config => config.Model.DModel = -16,
        ["config.model.d_mlp"] = config => config.Model.DMlp = -1,
        ["config.model.n_ctx"] = config => config.Model.NCtx = 8193,
        ["config.model.d_head"] = config => config.Model.DHead = 24,
        ["config.model.d_pos_emb"] = config => config.Model.DPosEmb = 8,
        ["config.model.norm_bias"] = config => config.Model.NormBias = true,
        ["config.model.bigram"] = config => config.Model.Bigram = (Proto.BigramKind)9,
        ["config.model.positions"] = config => config.Model.Positions = (Proto.PositionKind)9,
        ["config.model.activation"] = config => config.Model.Activation = (Proto.ActivationKind)9,
        ["config.model.norm"] = config => config.Model.Norm = (Proto.NormKind)9,
        ["config.model.activation_fraction"] = config => config.Model.ActivationFraction = 0.001,
        ["config.model.activation_sites"] = config =>
        {
            config.Model.ActivationFraction = 1;
            config.Model.ActivationSites.Add(Proto.ActivationSite.MlpIn);
        },
        ["config.model.activation_sites[0]"] = config => config.Model.ActivationSites.Add(Proto.ActivationSite.Unspecified),
        ["config.model.activation_sites[1]"] = config => config.Model.ActivationSites.Add([Proto.ActivationSite.MlpIn, Proto.ActivationSite.MlpIn]),
        ["config.recipe.warmup_fraction"] = config => (config.Recipe.WarmupFraction, config.Recipe.AnnealStartFraction) = (1, 0.1),
        ["config.recipe.anneal_start_fraction"] = config => (config.Recipe.AnnealStartFraction, config.Recipe.AnnealMode) = (0, Proto.AnnealMode.PowerLaw),
        ["config.recipe.anneal_end_fraction"] = config => (config.Recipe.AnnealStartFraction, config.Recipe.AnnealEndFraction) = (0.4, 0.4),
        ["config.recipe.anneal_mode"] = config => config.Recipe.AnnealMode = (Proto.AnnealMode)9,
        ["config.recipe.anneal_exponent"] = config => (config.Recipe.AnnealExponent, config.Recipe.AnnealMode) = (2, Proto.AnnealMode.PowerLaw),
        ["config.recipe.embedding_schedule"] = config => (config.Recipe.WeightFraction, config.Recipe.EmbeddingSchedule) = (1, Proto.EmbeddingSchedule.Late),
        ["config.recipe.gradient_scaling"] = config => config.Recipe.GradientScaling = (Proto.GradientScaling)9,
        ["config.recipe.min_nonzero_per_neuron"] = config => config.Recipe.MinNonzeroPerNeuron = -1,
        ["config.recipe.epsilon"] = config => config.Recipe.Epsilon = double.NaN,
        ["config.recipe.steps"] = config => config.Recipe.Steps = -1,
        ["config.recipe.batch_size"] = config => config.Recipe.BatchSize = -1,
        ["config.recipe.learning_rate"] = config => config.Recipe.LearningRate = double.NaN,
        ["config.recipe.weight_fraction"] = config => config.Recipe.WeightFraction = 0,
        ["config.recipe.embedding_fraction"] = config => config.Recipe.EmbeddingFraction = 1.5,
        ["config.recipe.bias_fraction"] = config => (config.Recipe.BiasFraction, config.Model.Bias) = (0.5, false),
        ["config.recipe.beta1"] = config => config.Recipe.Beta1 = 1,
        ["config.recipe.beta2"] = config => config.Recipe.Beta2 = double.NaN,
        ["config.recipe.weight_decay"] = config => config.Recipe.WeightDecay = double.PositiveInfinity,
        ["config.recipe.evaluation_interval"] = config => config.Recipe.EvaluationInterval = -1,
        ["config.recipe.checkpoint_interval"] = config => config.Recipe.CheckpointInterval = -1,
        ["config.recipe.evaluation_tokens"] = config => config.Recipe.EvaluationTokens = -1,
        ["config.recipe.target_held_out_loss"] = config => config.Recipe.TargetHeldOutLoss = 0,
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public void Validate_AMistake_NamesItsFieldAlone(string field)
    {
        Proto.TrainingConfig config = Valid();
        TrainingMapping.Validate(config);
        Mistakes[field](config);

        Should.Throw<InvalidRequestException>(() => TrainingMapping.Validate(config)).Violations.ShouldHaveSingleItem().Field.ShouldBe(field);
    }

    [Fact]
    public void RequireRoom_FewerEntriesThanTheFloor_NamesMatrixAndField()
    {
        Proto.TrainingConfig config = Valid();
        config.Recipe.WeightFraction = 1.0 / 16;
        TrainingMapping.RequireRoom(config);
        config.Recipe.MinNonzeroPerNeuron = 5;

        ArgumentException error = Should.Throw<ArgumentException>(() => TrainingMapping.RequireRoom(config));
        error.ParamName.ShouldBe("config.recipe.weight_fraction");
        error.Message.ShouldContain("attn.c_attn.weight keeps 768 entries");
    }

    [Fact]
    public void RequireMemory_WeightsAndMomentsBeyondTheMachine_NamesTheField()
    {
        Proto.TrainingConfig config = new() { Model = new Proto.ModelConfig { NLayers = 64, DModel = 8192, DMlp = 65536 } };
        TrainingMapping.RequireMemory(config, 1L << 40);

        ArgumentException error = Should.Throw<ArgumentException>(() => TrainingMapping.RequireMemory(config, 1L << 39));
        error.ParamName.ShouldBe("config.model");
        error.Message.ShouldContain("960 GiB, of 512 GiB");
    }

    [Fact]
    public void ToTransformerConfig_OfNothing_HasTheStatedDefaults() => TrainingMapping.ToTransformerConfig(null, 300).ShouldBe(new TransformerConfig
    {
        NLayers = 2,
        DModel = 128,
        NHeads = 8,
        DHead = 16,
        DMlp = 512,
        NCtx = 128,
        DVocab = 300,
        ActivationFraction = 0.25,
        BigramTable = true,
    });

    [Fact]
    public void ToTransformerConfig_OfEverySetting_HasIt()
    {
        Proto.ModelConfig model = new()
        {
            NLayers = 3,
            DModel = 64,
            DHead = 8,
            DMlp = 100,
            NCtx = 32,
            ActivationFraction = 0.5,
            AttentionSink = true,
            Bigram = Proto.BigramKind.Counts,
            Positions = Proto.PositionKind.Sinusoidal,
            DPosEmb = 6,
            Activation = Proto.ActivationKind.Relu,
            ResidualRelu = true,
            Norm = Proto.NormKind.Layer,
            NormBias = true,
            Bias = false,
            TiedUnembedding = true,
            ActivationSites = { Proto.ActivationSite.AttnQ, Proto.ActivationSite.ResidPostMlp },
        };
        TrainingMapping.ToTransformerConfig(model, 300).Validate().ShouldBe(new TransformerConfig
        {
            NLayers = 3,
            DModel = 64,
            NHeads = 8,
            DHead = 8,
            DMlp = 100,
            NCtx = 32,
            DVocab = 300,
            ActivationFraction = 0.5,
            ActivationSites = AbsTopKSites.AttnQ | AbsTopKSites.ResidPostMlp,
            AttentionSink = true,
            BigramTable = true,
            LearnedBigramTable = false,
            Positions = PositionKind.Concatenated,
            DPos = 6,
            SinusoidalPositions = true,
            Activation = ActivationFunction.Relu,
            ResidualRelu = true,
            Norm = NormKind.Layer,
            NormEpsilon = 1e-5,
            NormBias = true,
            AttentionBias = false,
            AttentionOutBias = false,
            MlpBias = false,
            TiedUnembedding = true,
        });
    }

    [Fact]
    public void ToTransformerConfig_OfEachSite_HasThatSite()
    {
        foreach (Proto.ActivationSite site in Enum.GetValues<Proto.ActivationSite>().Where(site => site != Proto.ActivationSite.Unspecified))
            TrainingMapping.ToTransformerConfig(new Proto.ModelConfig { ActivationSites = { site } }, 300).ActivationSites.ToString().ShouldBe(site.ToString());
    }

    [Fact]
    public void ToRecipe_OfNothing_HasTheStatedDefaults() => TrainingMapping.ToRecipe(null).ShouldBe(new TrainingRecipe
    {
        Steps = 1000,
        BatchSize = 32,
        LearningRate = 1.28e-2,
        WarmupFraction = 0.01,
        WeightFraction = 1,
        EmbeddingFraction = 1,
        BiasFraction = 1,
        MinNonzeroPerNeuron = 4,
        AnnealStartFraction = null,
        AnnealEndFraction = 0.5,
        AnnealMode = AnnealMode.Linear,
        AnnealExponent = 1,
        EmbeddingSchedule = EmbeddingSchedule.Proportional,
        LearningRateDecay = true,
        Sharkfin = true,
        GradientScaling = GradientScaling.Normalise,
        WeightDecay = 0.1,
        Beta1 = 0.9,
        Beta2 = 0.95,
        Epsilon = 0.1,
        EvaluationInterval = 100,
        CheckpointInterval = 200,
        EvaluationTokens = 32768,
        TargetHeldOutLoss = null,
    });

    [Fact]
    public void ToRecipe_OfWeightsAlone_HasEmbeddingsAsSparseAndBiasesDense()
    {
        TrainingRecipe recipe = TrainingMapping.ToRecipe(new Proto.RecipeConfig { WeightFraction = 0.25 });

        (recipe.WeightFraction, recipe.EmbeddingFraction, recipe.BiasFraction).ShouldBe((0.25, 0.25, 1));
    }

    [Fact]
    public void ToRecipe_OfEverySetting_HasIt() => TrainingMapping.ToRecipe(new Proto.RecipeConfig
    {
        Steps = 7,
        BatchSize = 3,
        LearningRate = 0.01,
        WarmupFraction = 0,
        WeightFraction = 0.5,
        EmbeddingFraction = 0.6,
        BiasFraction = 0.7,
        MinNonzeroPerNeuron = 0,
        AnnealStartFraction = 0.1,
        AnnealEndFraction = 0,
        AnnealMode = Proto.AnnealMode.PowerLaw,
        AnnealExponent = 2,
        EmbeddingSchedule = Proto.EmbeddingSchedule.Late,
        LearningRateDecay = false,
        Sharkfin = false,
        GradientScaling = Proto.GradientScaling.Clip,
        WeightDecay = 0,
        Beta1 = 0,
        Beta2 = 0.5,
        Epsilon = 1e-8,
        EvaluationInterval = 5,
        CheckpointInterval = 6,
        EvaluationTokens = 9,
        TargetHeldOutLoss = 2,
    }).ShouldBe(new TrainingRecipe
    {
        Steps = 7,
        BatchSize = 3,
        LearningRate = 0.01,
        WarmupFraction = 0,
        WeightFraction = 0.5,
        EmbeddingFraction = 0.6,
        BiasFraction = 0.7,
        MinNonzeroPerNeuron = 0,
        AnnealStartFraction = 0.1,
        AnnealEndFraction = 0,
        AnnealMode = AnnealMode.PowerLaw,
        AnnealExponent = 2,
        EmbeddingSchedule = EmbeddingSchedule.Late,
        LearningRateDecay = false,
        Sharkfin = false,
        GradientScaling = GradientScaling.Clip,
        WeightDecay = 0,
        Beta1 = 0,
        Beta2 = 0.5,
        Epsilon = 1e-8,
        EvaluationInterval = 5,
        CheckpointInterval = 6,
        EvaluationTokens = 9,
        TargetHeldOutLoss = 2,
    });

    [Theory]
    [InlineData(Proto.GradientScaling.Unspecified, nameof(GradientScaling.Normalise))]
    [InlineData(Proto.GradientScaling.Normalise, nameof(GradientScaling.Normalise))]
    [InlineData(Proto.GradientScaling.Clip, nameof(GradientScaling.Clip))]
    [InlineData(Proto.GradientScaling.None, nameof(GradientScaling.None))]
    public void ToRecipe_OfEachScaling_HasIt(Proto.GradientScaling scaling, string expected) =>
        TrainingMapping.ToRecipe(new Proto.RecipeConfig { GradientScaling = scaling }).GradientScaling.ToString().ShouldBe(expected);

    private static Proto.TrainingConfig Valid() => new()
    {
        Corpus = "corpora/x",
        Model = new Proto.ModelConfig { NLayers = 1, DModel = 64 },
        Recipe = new Proto.RecipeConfig { WeightFraction = 0.25 },
    };
}
