using Lab.BridgeAlignment.Bridges;
using Lab.BridgeAlignment.Evaluation;
using Lab.BridgeAlignment.Streams;
using Lab.BridgeAlignment.Tests.Support;
using Lab.Models;
using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.BridgeAlignment.Tests.Evaluation;

public sealed class BridgeEvaluatorTests
{
    private static readonly TransformerConfig Config = TinyModels.Config();
    private static readonly long[] Order = [3, 14, 7, 0, 11, 5, 9, 1, 12, 2, 15, 8, 4, 13, 6, 10];

    private readonly TokenBatch _tokens = new TokenSampler(10_000, (offset, destination) =>
    {
        for (int i = 0; i < destination.Length; i++) destination[i] = (offset + i) * 31 % Config.DVocab;
    }).Spread(5, 12);

    [Fact]
    public async Task Evaluate_ExactInverse_ReproducesThePlainModel()
    {
        BridgeScore score = await EvaluateAsync(shape => new Bridge(shape, CPU, Exact));

        score.Tokens.ShouldBe(60);
        score.KlModels.ShouldBe(0, 1e-4);
        score.Sites.Select(site => site.Hook).ShouldBe(BridgeSites.Of(Config.NLayers));
        foreach (SiteScore site in score.Sites)
        {
            site.EncoderNmse.ShouldBe(0, 1e-9);
            site.DecoderNmse.ShouldBe(0, 1e-9);
            site.KlDenseToSparse.ShouldBe(0, 1e-4);
            site.KlSparseToDense.ShouldBe(0, 1e-4);
            site.MeanKlDenseToSparse.ShouldBeGreaterThan(0.01);
            site.MeanKlSparseToDense.ShouldBe(site.MeanKlDenseToSparse, 1e-3);
        }
    }

    [Fact]
    public async Task Evaluate_ZeroBridge_ScoresNoBetterThanTheMean()
    {
        BridgeScore score = await EvaluateAsync(shape => new Bridge(shape, CPU, (_, size) => zeros(size)));

        foreach (SiteScore site in score.Sites)
        {
            site.EncoderNmse.ShouldBeGreaterThan(1);
            site.KlDenseToSparse.ShouldBeGreaterThan(0.01);
            site.KlSparseToDense.ShouldBeGreaterThan(0.01);
        }
    }

    private async Task<BridgeScore> EvaluateAsync(Func<BridgeShape, Bridge> create)
    {
        Transformer dense = TinyModels.Create(Config, seed: 5);
        using ModelSource source = new(new Dictionary<string, Transformer> { ["dense"] = dense, ["sparse"] = TinyModels.Permute(dense, Order) });
        await using TensorWorker worker = new("test");
        using Bridge bridge = create(new BridgeShape(BridgeSites.Of(Config.NLayers), Config.DModel, Config.DModel, 1));
        List<long> reports = [];
        BridgeScore score = await new BridgeEvaluator(bridge, worker, source, "dense", "sparse", Config.DVocab)
            .EvaluateAsync(_tokens, (done, total) => reports.Add(total - done), TestContext.Current.CancellationToken);
        reports.Last().ShouldBe(0);
        return score;
    }

    /// <summary>The permutation as an encoder and its inverse as a decoder.</summary>
    private static Tensor Exact(string name, long[] size)
    {
        if (size.Length == 1) return zeros(size);
        using var scope = NewDisposeScope();
        Tensor permutation = eye(size[0]).index_select(0, tensor(Order));
        return (name.StartsWith("encoder", StringComparison.Ordinal) ? permutation : permutation.t().contiguous()).MoveToOuterDisposeScope();
    }
}
