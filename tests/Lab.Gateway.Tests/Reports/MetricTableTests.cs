using Lab.Gateway.Reports;

namespace Lab.Gateway.Tests.Reports;

public sealed class MetricTableTests
{
    [Fact]
    public void Of_MetricsOfTwoLabels_PutsThemSideBySide()
    {
        var table = MetricTable.Of([new("dense.circuit.edges", 9), new("sparse.circuit.edges", 3), new("sparse.l0_fraction", 0.1), new("edge_ratio", 3)]);

        table.Labels.ShouldBe(["dense", "sparse"]);
        MetricRow row = table.Rows.ShouldHaveSingleItem();
        row.Key.ShouldBe("circuit.edges");
        row.Values.ShouldBe([9, 3]);
        table.Single.Select(metric => metric.Key).ShouldBe(["sparse.l0_fraction", "edge_ratio"]);
    }

    [Fact]
    public void Of_LabelWithoutAMetric_HasAGap()
    {
        var table = MetricTable.Of([new("a.loss", 1), new("b.loss", 2), new("b.nodes", 3), new("c.nodes", 4)]);

        table.Labels.ShouldBe(["a", "b", "c"]);
        table.Rows.Select(row => row.Values).ShouldBe([[1, 2, null], [null, 3, 4]]);
    }
}
