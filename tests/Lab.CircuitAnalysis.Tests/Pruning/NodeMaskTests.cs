using Lab.CircuitAnalysis.Pruning;
using Lab.Models;
using static TorchSharp.torch;

namespace Lab.CircuitAnalysis.Tests.Pruning;

public sealed class NodeMaskTests
{
    private static readonly TransformerConfig _config = new()
    {
        NLayers = 2,
        DModel = 16,
        NHeads = 4,
        DHead = 4,
        DMlp = 32,
        DVocab = 11,
        NCtx = 12,
        ActivationFraction = 0.5,
        AttentionSink = true,
        BigramTable = true,
        Positions = PositionKind.Learned,
    };

    [Fact]
    public void At_MaskOfOnes_LeavesLogitsBitForBit()
    {
        using var scope = NewDisposeScope();
        using Transformer model = new(_config, TransformerWeights.Initialize(_config, 1));
        NodeLayout layout = new(model.Hooks);
        Tensor ids = randint(0, _config.DVocab, [3, 9], dtype: ScalarType.Int64);

        Tensor masked = model.Forward(ids, new NodeMask(layout, ones(layout.Count), randn(layout.Count)));

        masked.data<float>().ToArray().ShouldBe(model.Forward(ids).data<float>().ToArray());
    }

    [Fact]
    public void At_MaskOfZeros_MakesEveryNodeIndependentOfTheInput()
    {
        using var scope = NewDisposeScope();
        TransformerConfig config = _config with { Positions = PositionKind.None, BigramTable = false };
        using Transformer model = new(config, TransformerWeights.Initialize(config, 1));
        NodeLayout layout = new(model.Hooks);
        NodeMask mask = new(layout, zeros(layout.Count), randn(layout.Count));

        // The embedding reaches the logits past all nodes, so the inputs end in the same token.
        Tensor one = model.Forward(tensor(new long[] { 1, 2, 3, 4, 5 }).unsqueeze(0), mask);
        Tensor other = model.Forward(tensor(new long[] { 9, 8, 7, 6, 5 }).unsqueeze(0), mask);

        one[0, -1].data<float>().ToArray().ShouldBe(other[0, -1].data<float>().ToArray());
        one[0, 0].data<float>().ToArray().ShouldNotBe(other[0, 0].data<float>().ToArray());
    }

    [Fact]
    public void At_OneNodeOfAHead_AblatesItAlone()
    {
        using var scope = NewDisposeScope();
        using Transformer model = new(_config, TransformerWeights.Initialize(_config, 1));
        NodeLayout layout = new(model.Hooks);
        NodeSite values = layout[1, SiteKind.Value];
        Tensor mask = ones(layout.Count), means = zeros(layout.Count);
        mask[values.First + 6] = 0; // head 1, channel 2
        means[values.First + 6] = 7;

        Tensor x = randn(2, 5, 4, 4), ablated = new NodeMask(layout, mask, means).At(values.Hook, x);

        Tensor changed = (ablated - x).ne(0).any(0).any(0);
        changed.sum().item<long>().ShouldBe(1);
        ablated.select(2, 1).select(-1, 2).eq(7).all().item<bool>().ShouldBeTrue();
        values.Head(values.First + 6).ShouldBe(1);
        values.Id(values.First + 6).ShouldBe("blocks.1.attn.hook_v:6");
    }

    [Fact]
    public void Constructor_WrongLength_NamesBothNumbers()
    {
        using var scope = NewDisposeScope();
        using Transformer model = new(_config, TransformerWeights.Initialize(_config, 1));
        NodeLayout layout = new(model.Hooks);

        Should.Throw<ArgumentException>(() => new NodeMask(layout, ones(3), zeros(layout.Count))).Message.ShouldContain($"3 entries for {layout.Count} nodes");
    }

    [Fact]
    public void SiteOf_EveryNode_IsTheSiteThatHasIt()
    {
        using Transformer model = new(_config, TransformerWeights.Initialize(_config, 1));
        NodeLayout layout = new(model.Hooks);

        layout.Count.ShouldBe(2 * (4 * 16 + 3 * 16 + 32));
        foreach (NodeSite site in layout.Sites)
        {
            layout.SiteOf(site.First).ShouldBeSameAs(site);
            layout.SiteOf(site.First + site.Count - 1).ShouldBeSameAs(site);
        }
    }
}
