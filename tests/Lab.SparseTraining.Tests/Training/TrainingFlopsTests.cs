using Lab.SparseTraining.Training;

namespace Lab.SparseTraining.Tests.Training;

public sealed class TrainingFlopsTests
{
    [Fact]
    public void PerToken_HandSizedModel_CountsMatricesThatMultiplyAndAttention()
    {
        using TinyTraining tiny = new();
        using SparseTrainer trainer = tiny.Start();

        // Queries, keys and values, attention's output, MLP in and out, unembedding; neither embedding nor bigram table nor biases.
        const int weights = (96 * 32) + (32 * 32) + (64 * 32) + (32 * 64) + (280 * 32);
        TrainingFlops.PerToken(trainer.Model).ShouldBe((6 * weights) + (12 * 16 * 32));
    }
}
