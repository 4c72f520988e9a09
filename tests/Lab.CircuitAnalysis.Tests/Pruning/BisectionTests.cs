using Lab.CircuitAnalysis.Pruning;

namespace Lab.CircuitAnalysis.Tests.Pruning;

public sealed class BisectionTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(37)]
    [InlineData(999)]
    [InlineData(1000)]
    public void Smallest_FallingLoss_FindsTheFirstThatReaches(int threshold) =>
        Bisection.Smallest(1000, count => count >= threshold ? 0.1 : 0.2, 0.15).ShouldBe(threshold);

    [Fact]
    public void Smallest_NoneReaches_IsNull() => Bisection.Smallest(1000, _ => 0.2, 0.15).ShouldBeNull();

    [Fact]
    public void Smallest_OnlyAPartReaches_FindsIt() =>
        Bisection.Smallest(1000, count => count is >= 100 and < 600 ? 0.1 : 0.2, 0.15).ShouldBe(100);

    [Fact]
    public void Smallest_SecondValleyBelow_GoesOnThere() =>
        Bisection.Smallest(1000, count => count >= 500 || count is >= 440 and <= 460 ? 0.1 : 0.2, 0.15).ShouldBe(440);

    [Fact]
    public void Smallest_AnyFunction_AsksEachCountOnce()
    {
        List<int> asked = [];
        Bisection.Smallest(5000, count => { asked.Add(count); return count > 77 ? 0 : 1; }, 0.5);

        asked.ShouldBeUnique();
        asked.Count.ShouldBeLessThan(20);
    }

    [Fact]
    public void Rank_TiesAndUnusedNodes_ByNumberAndLast()
    {
        int[] ranking = NodeRanking.Rank([0.5f, 1, 0.5f, 0.9f], [1, 0, 1, -1]);

        ranking.ShouldBe([3, 0, 2, 1]);
        NodeRanking.Keep(ranking, 2).ShouldBe([true, false, false, true]);
    }
}
