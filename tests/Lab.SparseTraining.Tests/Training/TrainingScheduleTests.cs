using Lab.SparseTraining.Training;

namespace Lab.SparseTraining.Tests.Training;

public sealed class TrainingScheduleTests
{
    private static readonly TrainingRecipe Recipe = new() { Steps = 1000, BatchSize = 1, LearningRate = 0.02, WeightFraction = 1.0 / 64, WarmupFraction = 0.01, AnnealEndFraction = 0.5 };

    [Theory]
    [InlineData(0, 1)]
    [InlineData(10, 1)]
    [InlineData(255, 0.5078125)]
    [InlineData(500, 1.0 / 64)]
    [InlineData(999, 1.0 / 64)]
    public void Density_LinearAnneal_FallsFromDenseToTarget(long step, double expected) =>
        new TrainingSchedule(Recipe).WeightDensity(step).ShouldBe(expected, 1e-12);

    [Fact]
    public void LearningRate_Sharkfin_IsAnEighthWhileDenseAndPlainAtTarget()
    {
        TrainingSchedule schedule = new(Recipe);
        schedule.LearningRate(5).ShouldBe(0.02 * 0.5 / 8, 1e-12);
        schedule.LearningRate(10).ShouldBe(0.02 / 8, 1e-12);
        schedule.LearningRate(500).ShouldBe(0.02 * (1 - 490.0 / 990), 1e-12);
        schedule.LearningRate(1000).ShouldBe(0, 1e-12);
    }

    [Fact]
    public void LearningRate_NoSharkfin_IsWarmupAndLinearDecay()
    {
        TrainingSchedule schedule = new(Recipe with { Sharkfin = false });
        schedule.LearningRate(10).ShouldBe(0.02, 1e-12);
        schedule.LearningRate(505).ShouldBe(0.01, 1e-12);
    }
}
