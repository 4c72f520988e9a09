using CsCheck;
using static TorchSharp.torch;

namespace Lab.Models.Tests;

public sealed class NormFoldingTests
{
    private static readonly Gen<TransformerConfig> Configs =
        from heads in Gen.Int[1, 3]
        from layers in Gen.Int[1, 3]
        from positions in OneOf(PositionKind.None, PositionKind.Learned, PositionKind.Concatenated)
        from sink in Gen.Bool
        from bias in Gen.Bool
        from fraction in OneOf(1.0, 0.5)
        from sites in OneOf(AbsTopKSites.MlpNeuron | AbsTopKSites.AttnQ, AbsTopKSites.AttnOut)
        from norm in OneOf(NormKind.Rms, NormKind.Layer)
        from offset in OneOf(0.0, 1.0)
        select new TransformerConfig
        {
            NLayers = layers,
            DModel = 8 * heads,
            NHeads = heads,
            DHead = 8,
            DMlp = 24,
            DVocab = 19,
            NCtx = 7,
            Positions = positions,
            DPos = positions == PositionKind.Concatenated ? 5 : 0,
            AttentionSink = sink,
            MlpBias = bias,
            ActivationFraction = fraction,
            ActivationSites = sites,
            Norm = norm,
            NormGainOffset = offset,
        };

    [Fact]
    public void Fold_AnyModelWithoutAbsTopKBehindItsNorms_ChangesNeitherLogitsNorL0() => Gen.Select(Configs, Gen.ULong).Sample(
        (config, seed) =>
        {
            using var scope = NewDisposeScope();
            using Transformer model = Model(config, seed);
            Tensor tokens = arange(14).view(2, 7).remainder(config.DVocab), before = model.Forward(tokens);
            long[] nonzeros = Nonzeros(model);

            IReadOnlyList<string> folded = NormFolding.Fold(model);

            folded.Count.ShouldBe(1 + (config.NLayers * (config.DPos > 0 ? 4 : 2)));
            model.Weights.LnFinal.Gain.Value.eq(1 - config.NormGainOffset).all().item<bool>().ShouldBeTrue();
            // Near-ties of AbsTopK could be decided otherwise: in FP64 none is near enough.
            ((model.Forward(tokens) - before).abs().max() / before.abs().max()).item<double>().ShouldBeLessThan(1e-10);
            Nonzeros(model).ShouldBe(nonzeros);
        },
        iter: 60,
        threads: 1);

    [Fact]
    public void Fold_NormsThatOthersRead_LeavesThemAndTheLogits()
    {
        TransformerConfig plain = new() { NLayers = 2, DModel = 16, NHeads = 2, DHead = 8, DMlp = 24, DVocab = 19, NCtx = 7 };
        ShouldFold(plain with { ActivationFraction = 0.25 }, "transformer.ln_f.weight");
        ShouldFold(plain with { ActivationFraction = 0.25, ActivationSites = AbsTopKSites.AttnIn }, "transformer.h.0.ln_2.weight", "transformer.h.1.ln_2.weight", "transformer.ln_f.weight");
        ShouldFold(plain with { ActivationFraction = 0.25, TiedUnembedding = true });
        ShouldFold(plain with { Norm = NormKind.Layer, NormBias = true });
        ShouldFold(plain with { Family = ModelFamily.Gpt2, Norm = NormKind.Layer, ActivationSites = AbsTopKSites.None }, [.. new[] { "h.0.ln_1", "h.0.ln_2", "h.1.ln_1", "h.1.ln_2", "ln_f" }.Select(norm => $"transformer.{norm}.weight")]);
    }

    [Fact]
    public void Fold_AGainOfZero_IsLeft()
    {
        TransformerConfig config = new() { NLayers = 1, DModel = 16, NHeads = 2, DHead = 8, DMlp = 24, DVocab = 19, NCtx = 7 };
        using var scope = NewDisposeScope();
        using Transformer model = Model(config, seed: 4);
        using (no_grad()) model.Weights.LnFinal.Gain.Value[3] = 0;
        long[] nonzeros = Nonzeros(model);

        NormFolding.Fold(model).ShouldNotContain("transformer.ln_f.weight");
        Nonzeros(model).ShouldBe(nonzeros);
    }

    private static Gen<T> OneOf<T>(params T[] values) => Gen.Int[0, values.Length - 1].Select(index => values[index]);

    private static void ShouldFold(TransformerConfig config, params string[] names)
    {
        using var scope = NewDisposeScope();
        using Transformer model = Model(config, seed: 2);
        Tensor tokens = arange(7).view(1, 7), before = model.Forward(tokens);

        NormFolding.Fold(model).ShouldBe(names);

        ((model.Forward(tokens) - before).abs().max() / before.abs().max()).item<double>().ShouldBeLessThan(1e-10);
    }

    /// <summary>Random weights, a third of them zero, in FP64.</summary>
    private static Transformer Model(TransformerConfig config, ulong seed)
    {
        using Generator generator = new(seed);
        return new Transformer(config, new TransformerWeights(config, (_, shape) =>
        {
            using var scope = NewDisposeScope();
            Tensor values = randn(shape, dtype: ScalarType.Float64, generator: generator), drawn = rand(shape, generator: generator);
            return (shape.Length == 1 ? values : values * (drawn < 0.67)).MoveToOuterDisposeScope();
        }));
    }

    private static long[] Nonzeros(Transformer model) => [.. model.Weights.All.Where(parameter => parameter.Value.dim() == 2).Select(parameter => parameter.Value.count_nonzero().item<long>())];
}
