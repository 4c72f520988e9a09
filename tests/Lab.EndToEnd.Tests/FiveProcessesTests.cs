using Lab.EndToEnd.Tests.Support;

namespace Lab.EndToEnd.Tests;

/// <summary>The five parts as five processes, as deploy/native starts them.</summary>
public sealed class FiveProcessesTests(Baseline baseline, SharedLab shared)
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public async Task Run_TwoExperimentsAtOnceThroughOneGateway_GiveWhatEachGivesInOneProcess(int seed)
    {
        RunReport alone = await baseline.ReportAsync(seed);

        RunReport together = await shared.ReportAsync(baseline.Corpus, seed);

        together.Artifacts.ShouldBe(alone.Artifacts);
        together.Metrics.ToJsonString().ShouldBe(alone.Metrics.ToJsonString());
    }

    [Fact]
    public async Task Run_OfAnotherSeed_GivesOtherArtifacts()
    {
        RunReport zero = await baseline.ReportAsync(0), one = await baseline.ReportAsync(1);

        one.Artifacts.Intersect(zero.Artifacts).ShouldBeEmpty();
    }
}
