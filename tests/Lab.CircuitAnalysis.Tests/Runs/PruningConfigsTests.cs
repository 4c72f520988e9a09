using Lab.CircuitAnalysis.Pruning;
using Lab.CircuitAnalysis.Runs;
using Lab.Protos.CircuitAnalysis.V1;
using Lab.ServiceDefaults.Errors;

namespace Lab.CircuitAnalysis.Tests.Runs;

public sealed class PruningConfigsTests
{
    private static readonly PruningConfig _good = new() { Model = "models/m", Corpus = "corpora/c", Task = "single_double_quote" };

    [Fact]
    public void ToSettings_OnlyWhatIsRequired_HasTheDocumentedDefaults()
    {
        PruningConfigs.Validate(_good);
        PruningSettings settings = _good.ToSettings();

        settings.TargetLoss.ShouldBe(0.15);
        settings.Steps.ShouldBe(300);
        settings.BatchPairs.ShouldBe(32);
        settings.NodePenalties.ShouldBe([3e-5, 1e-4, 3e-4]);
        settings.LearningRate.ShouldBe(3e-2);
        settings.HeavisideTemperature.ShouldBe(1);
        settings.TrainingPairs.ShouldBe(512);
        settings.HeldOutPairs.ShouldBe(128);
        settings.RandomCircuits.ShouldBe(20);
        settings.MeanTokens.ShouldBe(8192);
        settings.CleanUp.ShouldBeTrue();
    }

    [Fact]
    public void ToSettings_AllFieldsSet_TakesThem()
    {
        PruningSettings settings = new PruningConfig
        {
            TargetLoss = 0.3,
            Steps = 7,
            BatchPairs = 3,
            NodePenalties = { 0.5 },
            LearningRate = 0.1,
            HeavisideTemperature = 2,
            TrainingPairs = 9,
            HeldOutPairs = 8,
            RandomCircuits = 2,
            MeanTokens = 64,
            Seed = -5,
            SkipCleanUp = true,
        }.ToSettings();

        settings.TargetLoss.ShouldBe(0.3);
        settings.Steps.ShouldBe(7);
        settings.BatchPairs.ShouldBe(3);
        settings.NodePenalties.ShouldBe([0.5]);
        settings.LearningRate.ShouldBe(0.1);
        settings.HeavisideTemperature.ShouldBe(2);
        settings.TrainingPairs.ShouldBe(9);
        settings.HeldOutPairs.ShouldBe(8);
        settings.RandomCircuits.ShouldBe(2);
        settings.MeanTokens.ShouldBe(64);
        settings.Seed.ShouldBe(-5);
        settings.CleanUp.ShouldBeFalse();
    }

    public static TheoryData<string, Action<PruningConfig>> Wrong => new()
    {
        { "config.model", config => config.Model = "" },
        { "config.corpus", config => config.Corpus = "" },
        { "config.task", config => config.Task = "quotes" },
        { "config.target_loss", config => config.TargetLoss = -0.1 },
        { "config.target_loss", config => config.TargetLoss = double.NaN },
        { "config.steps", config => config.Steps = -1 },
        { "config.steps", config => config.Steps = long.MaxValue },
        { "config.batch_pairs", config => config.BatchPairs = -1 },
        { "config.batch_pairs", config => config.TrainingPairs = 10 },
        { "config.node_penalties", config => config.NodePenalties.Add(-1) },
        { "config.node_penalties", config => config.NodePenalties.Add(double.PositiveInfinity) },
        { "config.learning_rate", config => config.LearningRate = double.NaN },
        { "config.heaviside_temperature", config => config.HeavisideTemperature = -1 },
        { "config.training_pairs", config => config.TrainingPairs = 1_000_000 },
        { "config.held_out_pairs", config => config.HeldOutPairs = -1 },
        { "config.random_circuits", config => config.RandomCircuits = -1 },
        { "config.mean_tokens", config => config.MeanTokens = -1 },
    };

    [Theory]
    [MemberData(nameof(Wrong), DisableDiscoveryEnumeration = true)]
    public void Validate_OneFieldWrong_NamesIt(string field, Action<PruningConfig> change)
    {
        PruningConfig config = _good.Clone();
        change(config);

        Should.Throw<InvalidRequestException>(() => PruningConfigs.Validate(config)).Violations.ShouldHaveSingleItem().Field.ShouldBe(field);
    }

    [Fact]
    public void Validate_Nothing_NamesTheConfig() =>
        Should.Throw<InvalidRequestException>(() => PruningConfigs.Validate(null)).Violations.ShouldHaveSingleItem().Field.ShouldBe("config");

    [Fact]
    public void Metrics_Measurement_AreThoseOfTheEvaluation()
    {
        CircuitMeasurement measurement = new()
        {
            TaskAccuracy = 1,
            TaskLoss = 2,
            Nodes = 3,
            TotalNodes = 4,
            Edges = 5,
            TotalEdges = 6,
            Loss = 7,
            LossWithout = 8,
            RandomLoss = 9,
            RandomLossStddev = 10,
            ZeroAblationLoss = 11,
            CircuitAccuracy = 12,
            TestLoss = 13,
            TargetReached = true,
        };
        CircuitEvaluation evaluation = measurement.ToProto();

        CircuitEvaluation.Descriptor.Fields.InDeclarationOrder().Select(field => Convert.ToDouble(field.Accessor.GetValue(evaluation), null))
            .ShouldBe([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 1]);
        measurement.Metrics().Select(metric => metric.Value).Order().ShouldBe([1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
    }
}
