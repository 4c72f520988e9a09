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

    /// <summary>A straight line of log density over log step: from 100 to 400 steps, the middle is step 200.</summary>
    [Theory]
    [InlineData(0, 1)]
    [InlineData(100, 1)]
    [InlineData(200, 1.0 / 8)]
    [InlineData(400, 1.0 / 64)]
    [InlineData(999, 1.0 / 64)]
    public void WeightDensity_PowerLaw_IsStraightInLogarithms(long step, double expected)
    {
        TrainingSchedule schedule = new(Recipe with { AnnealMode = AnnealMode.PowerLaw, AnnealStartFraction = 0.1, AnnealEndFraction = 0.4 });
        schedule.WeightDensity(step).ShouldBe(expected, 1e-12);
        // Embeddings go as much of their way.
        schedule.EmbeddingDensity(step, 0.5).ShouldBe(1 - (0.5 * (1 - expected) / (1 - (1.0 / 64))), 1e-12);
    }

    [Fact]
    public void WeightDensity_Exponent_BendsTheLine()
    {
        TrainingSchedule schedule = new(Recipe with { AnnealStartFraction = 0.2, AnnealEndFraction = 0.4, AnnealExponent = 3 });
        schedule.WeightDensity(200).ShouldBe(1);
        schedule.WeightDensity(300).ShouldBe(1 - ((1 - (1.0 / 64)) * 7 / 8), 1e-12);
        schedule.WeightDensity(400).ShouldBe(1.0 / 64, 1e-12);
    }

    /// <summary>Of an expansion factor of 4, pfrac 1/4: embeddings stay dense until weights have 1/4, then fall as fast as they.</summary>
    [Fact]
    public void EmbeddingDensity_Late_IsDenseForMostOfTheAnnealing()
    {
        TrainingSchedule schedule = new(Recipe with { EmbeddingSchedule = EmbeddingSchedule.Late, AnnealStartFraction = 0 });
        schedule.EmbeddingDensity(0, 1.0 / 16).ShouldBe(1);
        schedule.EmbeddingDensity(375, 1.0 / 16).ShouldBe(1);
        schedule.EmbeddingDensity(450, 1.0 / 16).ShouldBe(4 * schedule.WeightDensity(450), 1e-12);
        schedule.EmbeddingDensity(500, 1.0 / 16).ShouldBe(1.0 / 16, 1e-12);
    }

    [Fact]
    public void LearningRate_WithoutDecay_StaysAfterWarmup()
    {
        TrainingSchedule schedule = new(Recipe with { Sharkfin = false, LearningRateDecay = false });
        schedule.LearningRate(5).ShouldBe(0.01, 1e-12);
        schedule.LearningRate(999).ShouldBe(0.02, 1e-12);
    }

    [Fact]
    public void LearningRate_ExtendedAndRecomputed_FallsToTheNewEndAndLeavesWarmupAndDensity()
    {
        TrainingSchedule schedule = new(Recipe with { Sharkfin = false, Steps = 2000, PlannedSteps = 1000, DecaySteps = 2000 });
        TrainingSchedule before = new(Recipe with { Sharkfin = false });
        schedule.LearningRate(5).ShouldBe(before.LearningRate(5), 1e-12);
        schedule.LearningRate(1005).ShouldBe(0.01, 1e-12);
        schedule.LearningRate(2000).ShouldBe(0, 1e-12);
        foreach (long step in (long[])[0, 255, 500, 700]) schedule.WeightDensity(step).ShouldBe(before.WeightDensity(step));
    }

    [Fact]
    public void LearningRate_StoppedEarlierWithTheScheduleKept_IsWhatItWouldHaveBeen()
    {
        TrainingSchedule schedule = new(Recipe with { Steps = 600, PlannedSteps = 1000, DecaySteps = 1000 });
        TrainingSchedule whole = new(Recipe);
        foreach (long step in (long[])[5, 10, 300, 599]) schedule.LearningRate(step).ShouldBe(whole.LearningRate(step));
    }
}
