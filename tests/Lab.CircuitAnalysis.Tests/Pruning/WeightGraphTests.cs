using Lab.CircuitAnalysis.Pruning;
using Lab.Models;
using static TorchSharp.torch;

namespace Lab.CircuitAnalysis.Tests.Pruning;

public sealed class WeightGraphTests
{
    private static readonly TransformerConfig _config = new() { NLayers = 2, DModel = 4, NHeads = 2, DHead = 2, DMlp = 5, DVocab = 6, NCtx = 8 };

    [Fact]
    public void CountEdges_OneNeuron_IsTwo()
    {
        using Transformer model = ModelWith(("transformer.h.0.mlp.c_fc.weight", 3, 1, 0.5f), ("transformer.h.0.mlp.c_proj.weight", 2, 3, -0.25f));
        NodeLayout layout = new(model.Hooks);
        WeightGraph graph = new(model, layout);
        int read = layout[0, SiteKind.MlpRead].First + 1, neuron = layout[0, SiteKind.MlpPost].First + 3, output = layout[0, SiteKind.MlpOut].First + 2;

        bool[] kept = Mask(layout, read, neuron, output);

        graph.CountEdges(kept).ShouldBe(2);
        graph.Edges(kept).ShouldBe([new WeightEdge(read, neuron, 0.5f), new WeightEdge(neuron, output, -0.25f)]);
        graph.CountEdges(Mask(layout, read, output)).ShouldBe(0);
        graph.Degrees(kept)[neuron].ShouldBe(2);
    }

    [Theory]
    [InlineData(1, SiteKind.Query, 1)]
    [InlineData(5, SiteKind.Key, 1)]
    [InlineData(9, SiteKind.Value, 1)]
    internal void Edges_RowOfCAttn_GoesToItsSite(int row, SiteKind kind, int channel)
    {
        using Transformer model = ModelWith(("transformer.h.1.attn.c_attn.weight", row, 2, 1f));
        NodeLayout layout = new(model.Hooks);

        WeightGraph graph = new(model, layout);

        graph.TotalEdges.ShouldBe(1);
        graph.Edges([.. Enumerable.Repeat(true, layout.Count)]).ShouldHaveSingleItem()
            .ShouldBe(new WeightEdge(layout[1, SiteKind.AttnRead].First + 2, layout[1, kind].First + channel, 1f));
    }

    [Fact]
    public void WithoutInert_ChainWithABrokenLink_DropsTheChainAndKeepsTheRest()
    {
        using Transformer model = ModelWith(
            ("transformer.h.0.attn.c_attn.weight", 8, 0, 1f), // read 0 -> v 0, read by nothing kept
            ("transformer.h.0.mlp.c_fc.weight", 0, 0, 1f),
            ("transformer.h.0.mlp.c_proj.weight", 1, 0, 1f));
        NodeLayout layout = new(model.Hooks);
        int[] chain = [layout[0, SiteKind.MlpRead].First, layout[0, SiteKind.MlpPost].First, layout[0, SiteKind.MlpOut].First + 1];
        int[] broken = [layout[0, SiteKind.AttnRead].First, layout[0, SiteKind.Value].First, layout[0, SiteKind.AttnOut].First];

        bool[] result = new WeightGraph(model, layout).WithoutInert(Mask(layout, [.. chain, .. broken]));

        result.ShouldBe(Mask(layout, chain));
    }

    private static bool[] Mask(NodeLayout layout, params int[] nodes)
    {
        bool[] mask = new bool[layout.Count];
        foreach (int node in nodes) mask[node] = true;
        return mask;
    }

    private static Transformer ModelWith(params (string Name, int Row, int Column, float Value)[] entries) => new(_config, new TransformerWeights(_config, (name, shape) =>
    {
        Tensor weight = zeros(shape);
        foreach (var entry in entries.Where(entry => entry.Name == name)) weight[entry.Row, entry.Column] = tensor(entry.Value);
        return weight;
    }));
}
