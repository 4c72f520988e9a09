using Lab.BridgeAlignment.Runs;
using Lab.BridgeAlignment.Tests.Support;
using Lab.Protos.BridgeAlignment.V1;
using Lab.ServiceDefaults.Errors;

namespace Lab.BridgeAlignment.Tests.Runs;

public sealed class AlignmentDefaultsTests
{
    [Fact]
    public void Fill_OnlyRequiredFields_HasTheDocumentedDefaults()
    {
        AlignmentConfig config = AlignmentDefaults.Fill(new AlignmentConfig { DenseModel = "a", SparseModel = "b", Corpus = "c" });

        config.Steps.ShouldBe(300);
        config.BatchSize.ShouldBe(16);
        config.LearningRate.ShouldBe(3e-3);
        config.EncoderActivationFraction.ShouldBe(0.25);
        config.EvaluationSequences.ShouldBe(32);
    }

    [Fact]
    public void Fill_NothingSet_NamesAllRequiredFields() =>
        Fields(new AlignmentConfig()).ShouldBe(["config.dense_model", "config.sparse_model", "config.corpus"]);

    [Fact]
    public void Fill_OutOfRange_NamesEachField()
    {
        AlignmentConfig config = TinyLab.Config;
        config.Steps = -1;
        config.BatchSize = 5000;
        config.LearningRate = double.NaN;
        config.EncoderActivationFraction = 0;
        config.EvaluationSequences = -2;
        config.SequenceLength = 1;

        Fields(config).ShouldBe(
            ["config.steps", "config.batch_size", "config.learning_rate", "config.encoder_activation_fraction", "config.evaluation_sequences", "config.sequence_length"]);
    }

    [Fact]
    public void Fill_NoConfig_NamesIt() => Fields(null).ShouldBe(["config"]);

    private static IEnumerable<string> Fields(AlignmentConfig? config) =>
        Should.Throw<InvalidRequestException>(() => AlignmentDefaults.Fill(config)).Violations.Select(violation => violation.Field);
}
