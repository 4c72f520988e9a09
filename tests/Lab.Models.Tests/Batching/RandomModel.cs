using TorchSharp;
using static TorchSharp.torch;

namespace Lab.Models.Tests.Batching;

/// <summary>Small models of random architecture and weights, and random rows for them.</summary>
internal static class RandomModel
{
    public static Transformer Of(Random random)
    {
        TransformerConfig config = NewConfig(random);
        using Generator generator = new((ulong)random.Next());
        return new Transformer(config, new TransformerWeights(config, (_, shape) => randn(shape, generator: generator).mul_(0.3)));
    }

    public static int[] Row(Random random, TransformerConfig config, int length) => [.. Enumerable.Range(0, length).Select(_ => random.Next(config.DVocab))];

    private static TransformerConfig NewConfig(Random random)
    {
        bool Coin(int sides = 2) => random.Next(sides) == 0;
        int layers = random.Next(1, 4), shared = random.Next(1, 3), perShared = random.Next(1, 3);
        PositionKind positions = (PositionKind)random.Next(Enum.GetValues<PositionKind>().Length);
        bool hasWindow = Coin();
        return new TransformerConfig
        {
            NLayers = layers,
            DModel = 4 * random.Next(2, 5),
            NHeads = shared * perShared,
            NKeyValueHeads = shared,
            DHead = 2 * random.Next(2, 5),
            DMlp = random.Next(6, 20),
            DVocab = random.Next(10, 40),
            NCtx = 32,
            Norm = Coin() ? NormKind.Rms : NormKind.Layer,
            NormEpsilon = 1e-5,
            NormBias = Coin(),
            NormGainOffset = Coin(3) ? 1 : 0,
            SandwichNorms = Coin(3),
            QkNorm = Coin(3),
            Positions = positions,
            DPos = positions == PositionKind.Concatenated ? 4 : 0,
            Rotary = positions == PositionKind.Rotary ? new RotaryConfig() : null,
            WindowSize = hasWindow ? random.Next(1, 6) : 0,
            LocalLayers = hasWindow ? [.. Enumerable.Range(0, layers).Where(_ => Coin())] : [],
            AttentionSink = Coin(3),
            AttentionSoftCap = Coin(4) ? 5 : 0,
            Activation = (ActivationFunction)random.Next(Enum.GetValues<ActivationFunction>().Length),
            GatedMlp = Coin(),
            ResidualRelu = Coin(6),
            TiedUnembedding = Coin(),
            LogitSoftCap = Coin(4) ? 4 : 0,
            ActivationFraction = Coin(3) ? 0.5 : 1,
            BigramTable = Coin(4),
            FinalLogitsBias = Coin(4),
        };
    }
}
