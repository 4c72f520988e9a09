using Lab.Gateway.Reports;
using Lab.Gateway.Reports.Charts;

namespace Lab.Gateway.Tests.Reports;

public sealed class CircuitLayoutTests
{
    [Fact]
    public void Of_TwoLayers_PutsColumnsByDepth()
    {
        var layout = CircuitLayout.Of(new Circuit
        {
            Nodes = [Node("blocks.1.attn.hook_read", 1, 5), Node("blocks.0.hook_mlp_out", 0, 5), Node("blocks.0.mlp.hook_post", 0, 2), Node("blocks.0.attn.hook_v", 0, 1)],
        });

        layout.Columns.Select(column => (column.Layer, column.Title)).ShouldBe([(0, "q k v"), (0, "neurons"), (0, "mlp write"), (1, "attn read")]);
        layout.Columns.Select(column => column.X).ShouldBeInOrder(SortDirection.Ascending);
    }

    [Fact]
    public void Of_WriteAndLaterRead_AreJoinedByTheResidualStream()
    {
        CircuitNode write = Node("blocks.0.hook_mlp_out", 0, 5), read = Node("blocks.1.attn.hook_read", 1, 5), other = Node("blocks.1.attn.hook_read", 1, 6);

        var layout = CircuitLayout.Of(new Circuit { Nodes = [write, read, other] });

        PlacedEdge only = layout.Edges.ShouldHaveSingleItem();
        only.IsStream.ShouldBeTrue();
        only.Source.Members.ShouldBe([write]);
        only.Target.Members.ShouldBe([read]);
    }

    [Fact]
    public void Of_CrossedEdges_AreUncrossed()
    {
        CircuitNode[] reads = [.. Enumerable.Range(0, 4).Select(i => Node("blocks.0.mlp.hook_read", 0, i))];
        CircuitNode[] neurons = [.. Enumerable.Range(0, 4).Select(i => Node("blocks.0.mlp.hook_post", 0, i))];

        var layout = CircuitLayout.Of(new Circuit
        {
            Nodes = [.. reads, .. neurons],
            Edges = [.. reads.Zip(neurons.Reverse(), (read, neuron) => new CircuitEdge(read.Id, neuron.Id, 1))],
        });

        foreach (PlacedEdge edge in layout.Edges) edge.Source.Y.ShouldBe(edge.Target.Y, 1e-9);
    }

    [Fact]
    public void Of_FullColumn_AggregatesTheLeastImportant()
    {
        CircuitNode[] neurons = [.. Enumerable.Range(0, 400).Select(i => Node("blocks.0.mlp.hook_post", 0, i) with { Importance = i })];
        CircuitNode write = Node("blocks.0.hook_mlp_out", 0, 1);

        var layout = CircuitLayout.Of(new Circuit { Nodes = [.. neurons, write], Edges = [.. neurons.Select(neuron => new CircuitEdge(neuron.Id, write.Id, neuron.Channel))] });

        PlacedNode[] drawn = [.. layout.Columns[0].Nodes];
        drawn.Length.ShouldBe(CircuitLayout.MaxNodesPerColumn);
        drawn[^1].IsAggregate.ShouldBeTrue();
        drawn[^1].Label.ShouldBe("+251 more");
        drawn[..^1].Min(node => node.Members[0].Importance).ShouldBe(251);
        layout.Edges.Count.ShouldBe(CircuitLayout.MaxNodesPerColumn);
        layout.Edges.Single(edge => edge.Source.IsAggregate).Weight.ShouldBe(250);
    }

    [Fact]
    public void Of_TooManyEdges_KeepsTheStrongest()
    {
        CircuitNode[] reads = [.. Enumerable.Range(0, 50).Select(i => Node("blocks.0.mlp.hook_read", 0, i))];
        CircuitNode[] neurons = [.. Enumerable.Range(0, 50).Select(i => Node("blocks.0.mlp.hook_post", 0, i))];

        var layout = CircuitLayout.Of(new Circuit
        {
            Nodes = [.. reads, .. neurons],
            Edges = [.. from read in reads from neuron in neurons select new CircuitEdge(read.Id, neuron.Id, -((read.Channel * 50) + neuron.Channel))],
        });

        layout.Edges.Count.ShouldBe(CircuitLayout.MaxEdges);
        layout.Edges.Max(edge => edge.Weight).ShouldBe(-(2500 - CircuitLayout.MaxEdges));
    }

    private static CircuitNode Node(string hook, int layer, int channel) => new($"{hook}:{channel}", hook, layer, "", channel, null, 0, 0.5, 0);
}
