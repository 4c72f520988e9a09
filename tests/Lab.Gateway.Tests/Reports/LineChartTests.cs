using Lab.Gateway.Reports.Charts;

namespace Lab.Gateway.Tests.Reports;

public sealed class LineChartTests
{
    [Fact]
    public void Draw_PointsThatAreNotFinite_AreLeftOut()
    {
        Series series = new("s", "s0", [(1, 2), (double.NaN, 3), (2, double.PositiveInfinity), (3, 4)], HasDots: true);

        string svg = LineChart.Draw("t", "x", "y", [series]).Text;

        svg.ShouldNotContain("NaN");
        svg.ShouldNotContain("\u221e");
        svg.Split("circle class=\"point").Length.ShouldBe(3);
    }
}
