using TorchSharp;
using static TorchSharp.torch;

namespace Lab.Models.Tests.Batching;

/// <summary>Small models of random architecture and weights, and random rows for them.</summary>
internal static class RandomModel
{
    public static Transformer Of(Random random, ScalarType type = ScalarType.Float32)
    {
        TransformerConfig config = NewConfig(random);
        using Generator generator = new((ulong)random.Next());
        return new Transformer(config, new TransformerWeights(config, (name, shape) =>
        {
            // Gains near 1, as norms have them: small ones would magnify rounding.
            bool isGain = shape.Length == 1 && name.EndsWith("weight", StringComparison.Ordinal);
            Tensor values = randn(shape, generator: generator);
            values = isGain ? values.mul_(0.1).add_(1 - config.NormGainOffset) : values.mul_(0.3);
            return type == values.dtype ? values : values.to(type);
        }));
    }

    public static int[] Row(Random random, TransformerConfig config, int length) => [.. Enumerable.Range(0, length).Select(_ => random.Next(config.DVocab))];

    private static TransformerConfig NewConfig(Random random)
    {
        bool Coin(int sides = 2) => random.Next(sides) == 0;
        // Joined queries, keys and values have one number of heads and no norms of their own; norms of what is added are Gemma's.
        bool isJoined = Coin(), isSandwich = !isJoined && Coin(), hasWindow = Coin();
        int layers = random.Next(1, 4), shared = random.Next(1, 3), perShared = isJoined ? 1 : random.Next(1, 3);
        PositionKind[] kinds = [.. Enum.GetValues<PositionKind>().Where(kind => kind != PositionKind.Rotary)];
        PositionKind positions = isJoined ? kinds[random.Next(kinds.Length)] : PositionKind.Rotary;
        return new TransformerConfig
        {
            Family = isSandwich ? ModelFamily.Gemma3 : !isJoined ? ModelFamily.Qwen3 : Coin() ? ModelFamily.Gpt2 : ModelFamily.CircuitSparsity,
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
            SandwichNorms = isSandwich,
            QkNorm = !isJoined && Coin(),
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
