using Lab.ModelHost.Generation;

namespace Lab.ModelHost.Tests;

public sealed class TokenSamplerTests
{
    [Fact]
    public void Pick_ZeroTemperature_TakesTheFirstOfTheMostLikely()
    {
        (int id, float logProbability, _) = new TokenSampler(new SamplingOptions(0, 0, 1, 1)).Pick([0, 2, 2, -1]);

        id.ShouldBe(1);
        double total = 1 + (2 * Math.Exp(2)) + Math.Exp(-1);
        logProbability.ShouldBe((float)Math.Log(Math.Exp(2) / total), 1e-6f);
    }

    [Fact]
    public void Pick_ManyTimes_FollowsTheTemperedDistribution()
    {
        TokenSampler sampler = new(new SamplingOptions(2, 0, 1, 5));
        int[] counts = new int[3];

        for (int i = 0; i < 20_000; i++) counts[sampler.Pick([0, 2, 4]).Id]++;

        double total = 1 + Math.E + (Math.E * Math.E);
        for (int id = 0; id < 3; id++) (counts[id] / 20_000.0).ShouldBe(Math.Exp(id) / total, 0.015);
    }

    [Fact]
    public void Pick_TopK_TakesNoOther()
    {
        TokenSampler sampler = new(new SamplingOptions(10, 2, 1, 7));

        HashSet<int> picked = [.. Enumerable.Range(0, 200).Select(_ => sampler.Pick([1, 5, 3, 3]).Id)];

        picked.ShouldBe([1, 2], ignoreOrder: true);
    }

    [Fact]
    public void Pick_TopP_TakesTheFewestThatSumToIt()
    {
        // Probabilities 0.1, 0.4, 0.3, 0.2.
        float[] logits = [.. new[] { 0.1, 0.4, 0.3, 0.2 }.Select(p => (float)Math.Log(p))];
        HashSet<int> Picked(float topP, int topK = 0)
        {
            TokenSampler sampler = new(new SamplingOptions(1, topK, topP, 3));
            return [.. Enumerable.Range(0, 500).Select(_ => sampler.Pick(logits).Id)];
        }

        Picked(0.3f).ShouldBe([1], ignoreOrder: true);
        Picked(0.6f).ShouldBe([1, 2], ignoreOrder: true);
        Picked(0.8f).ShouldBe([1, 2, 3], ignoreOrder: true);
        Picked(1).ShouldBe([0, 1, 2, 3], ignoreOrder: true);
        Picked(0.8f, topK: 2).ShouldBe([1, 2], ignoreOrder: true);
    }

    [Fact]
    public void Pick_Top_AreTheMostLikelyInOrder()
    {
        var (_, _, top) = new TokenSampler(new SamplingOptions(0, 0, 1, 1)).Pick([1, 3, 2, 3], 3);

        top.Select(one => one.Id).ShouldBe([1, 3, 2]);
        double total = Math.E + (2 * Math.Exp(3)) + Math.Exp(2);
        top[2].LogProbability.ShouldBe((float)Math.Log(Math.Exp(2) / total), 1e-6f);
    }
}
