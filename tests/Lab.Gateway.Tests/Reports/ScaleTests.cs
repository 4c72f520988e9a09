using Lab.Gateway.Reports.Charts;

namespace Lab.Gateway.Tests.Reports;

public sealed class ScaleTests
{
    [Fact]
    public void Ticks_Linear_AreRound() => new Scale([0.13, 6.87], 0, 100).Ticks.ShouldBe([0, 2, 4, 6, 8]);

    [Fact]
    public void Ticks_Logarithmic_LieInside() => new Scale([0.04, 1], 0, 100, logarithmic: true).Ticks.ShouldBe([0.05, 0.1, 0.2, 0.5, 1]);

    [Fact]
    public void At_Ends_AreTheEndsOfTheAxis()
    {
        var scale = new Scale([0, 10], 300, 20);

        scale.At(0).ShouldBe(300);
        scale.At(10).ShouldBe(20);
        scale.At(5).ShouldBe(160);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void At_SingleValue_IsFinite(bool logarithmic) => double.IsFinite(new Scale([3], 0, 100, logarithmic).At(3)).ShouldBeTrue();

    [Fact]
    public void At_NoFiniteValues_IsFinite() => double.IsFinite(new Scale([double.NaN, double.PositiveInfinity], 0, 100).At(1)).ShouldBeTrue();
}
