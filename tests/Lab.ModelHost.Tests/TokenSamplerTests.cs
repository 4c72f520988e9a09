using Lab.ModelHost.Generation;

namespace Lab.ModelHost.Tests;

public sealed class TokenSamplerTests
{
    [Fact]
    public void Pick_ZeroTemperature_TakesTheFirstOfTheMostLikely()
    {
        (int id, float logProbability) = new TokenSampler(0, 0, 1).Pick([0, 2, 2, -1]);

        id.ShouldBe(1);
        double total = 1 + (2 * Math.Exp(2)) + Math.Exp(-1);
        logProbability.ShouldBe((float)Math.Log(Math.Exp(2) / total), 1e-6f);
    }

    [Fact]
    public void Pick_ManyTimes_FollowsTheTemperedDistribution()
    {
        TokenSampler sampler = new(2, 0, 5);
        int[] counts = new int[3];

        for (int i = 0; i < 20_000; i++) counts[sampler.Pick([0, 2, 4]).Id]++;

        double total = 1 + Math.E + (Math.E * Math.E);
        for (int id = 0; id < 3; id++) (counts[id] / 20_000.0).ShouldBe(Math.Exp(id) / total, 0.015);
    }

    [Fact]
    public void Pick_TopK_TakesNoOther()
    {
        TokenSampler sampler = new(10, 2, 7);

        HashSet<int> picked = [.. Enumerable.Range(0, 200).Select(_ => sampler.Pick([1, 5, 3, 3]).Id)];

        picked.ShouldBe([1, 2], ignoreOrder: true);
    }
}
