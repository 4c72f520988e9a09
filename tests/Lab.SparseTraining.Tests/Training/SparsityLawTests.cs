using CsCheck;
using Lab.Models;
using Lab.SparseTraining.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Lab.SparseTraining.Tests.Training;

/// <summary>What holds of every recipe and architecture.</summary>
public sealed class SparsityLawTests : IDisposable
{
    private static readonly Gen<TrainingRecipe> Recipes =
        from weights in OneOf(0.15, 0.25, 1.0 / 3, 0.7, 1.0)
        from embeddings in OneOf(0.1, 0.3, 1.0)
        from floor in Gen.Int[0, 4]
        from mode in Gen.Enum<AnnealMode>()
        from schedule in Gen.Enum<EmbeddingSchedule>()
        from start in OneOf(0.1, 0.3)
        from end in OneOf(0.0, 0.5, 1.0)
        from exponent in OneOf(1.0, 2.5)
        from scaling in Gen.Enum<GradientScaling>()
        select new TrainingRecipe
        {
            Steps = 8,
            BatchSize = 2,
            WeightFraction = weights,
            EmbeddingFraction = embeddings,
            MinNonzeroPerNeuron = floor,
            AnnealMode = mode,
            EmbeddingSchedule = schedule,
            AnnealStartFraction = start,
            AnnealEndFraction = end,
            AnnealExponent = exponent,
            GradientScaling = scaling,
            WarmupFraction = 0.2,
        };

    private static readonly Gen<TransformerConfig> Configs =
        from positions in OneOf(PositionKind.None, PositionKind.Learned, PositionKind.Concatenated)
        from sinusoids in Gen.Bool
        from norm in Gen.Enum<NormKind>()
        from tied in Gen.Bool
        from learned in Gen.Bool
        from sink in Gen.Bool
        from relu in Gen.Bool
        select new TransformerConfig
        {
            NLayers = 1,
            DModel = 32,
            NHeads = 2,
            DHead = 16,
            DMlp = 64,
            DVocab = 280,
            NCtx = 16,
            Positions = positions,
            DPos = positions == PositionKind.Concatenated ? 6 : 0,
            SinusoidalPositions = sinusoids && positions == PositionKind.Concatenated,
            Norm = norm,
            NormEpsilon = norm == NormKind.Rms ? TransformerConfig.MachineEpsilon : 1e-5,
            TiedUnembedding = tied,
            BigramTable = true,
            LearnedBigramTable = learned,
            AttentionSink = sink,
            Activation = relu ? ActivationFunction.Relu : ActivationFunction.Gelu,
            ResidualRelu = relu,
            ActivationFraction = 0.5,
        };

    private readonly TinyTraining _tiny = new();

    public void Dispose() => _tiny.Dispose();

    [Fact]
    public void Step_AnyRecipeAndArchitecture_LeavesExactlyTheScheduledNonzeros() => Gen.Select(Configs, Recipes, Gen.Int).Sample(
        (config, recipe, seed) =>
        {
            using SparseTrainer trainer = new(config, recipe, _tiny.Corpus.Train, _tiny.Corpus.HeldOut, seed);
            TrainingSchedule schedule = new(recipe);
            for (int step = 0; step < recipe.Steps; step++)
            {
                trainer.Step();
                using var scope = NewDisposeScope();
                foreach (NamedParameter parameter in trainer.Model.Weights.Trained.Where(parameter => parameter.Value.dim() == 2 && parameter.Name != "bigram_table"))
                {
                    bool isEmbedding = parameter.Name is "transformer.wte.weight" or "lm_head.weight";
                    bool isDense = (parameter.Name == "transformer.wpe.weight" && config.DPos > 0) || (isEmbedding ? recipe.EmbeddingFraction : recipe.WeightFraction) == 1;
                    double density = isDense ? 1 : isEmbedding ? schedule.EmbeddingDensity(step, recipe.EmbeddingFraction) : schedule.WeightDensity(step);
                    // A weight may be drawn as 0: one in some tens of millions.
                    long chance = density == 1 ? 2 : 0, expected = (long)(density * parameter.Value.numel());
                    parameter.Value.count_nonzero().item<long>().ShouldBeInRange(expected - chance, expected, $"{parameter.Name} after step {step}");
                    if (isEmbedding || parameter.Name == "transformer.wpe.weight") continue;
                    int axis = parameter.Name.EndsWith("c_proj.weight", StringComparison.Ordinal) ? 0 : 1;
                    parameter.Value.ne(0).sum(axis, type: ScalarType.Int64).min().item<long>().ShouldBeGreaterThanOrEqualTo(recipe.MinNonzeroPerNeuron);
                }
            }
        },
        iter: 12,
        threads: 1);

    [Fact]
    public void Step_AnySeed_LetsZeroedWeightsComeBack() => Gen.Int.Sample(
        seed =>
        {
            using SparseTrainer trainer = _tiny.Start(_tiny.Recipe with { AnnealEndFraction = 0, WarmupFraction = 0, LearningRate = 0.05 }, seed);
            trainer.Step();
            using var scope = NewDisposeScope();
            Tensor weight = trainer.Model.Weights.Blocks[0].Mlp.In.Weight.Value, zeroed = weight.eq(0);
            for (int step = 0; step < 15; step++) trainer.Step();
            weight.ne(0).logical_and(zeroed).any().item<bool>().ShouldBeTrue();
        },
        iter: 5,
        threads: 1);

    [Fact]
    public void Step_FixedTables_StayAsTheyWere()
    {
        TransformerConfig config = _tiny.Config with { Positions = PositionKind.Concatenated, DPos = 7, SinusoidalPositions = true, LearnedBigramTable = false };
        using SparseTrainer trainer = new(config, _tiny.Recipe, _tiny.Corpus.Train, _tiny.Corpus.HeldOut, seed: 1);
        TransformerWeights weights = trainer.Model.Weights;
        using var scope = NewDisposeScope();
        Tensor bigram = weights.Bigram!.Value.clone(), positions = weights.PositionEmbedding!.Value.clone();

        for (int step = 0; step < 5; step++) trainer.Step();

        weights.Bigram.Value.equal(bigram).all().item<bool>().ShouldBeTrue();
        weights.PositionEmbedding.Value.equal(positions).all().item<bool>().ShouldBeTrue();
        // Three sines and three cosines, of 4, 8 and 16 tokens, and a channel of zeros.
        positions[1].data<float>().ToArray().ShouldBe([1, (float)Math.Sqrt(0.5), (float)Math.Sin(Math.PI / 8), 0, (float)Math.Sqrt(0.5), (float)Math.Cos(Math.PI / 8), 0], 1e-6);
    }

    [Fact]
    public void Bigrams_OfCounts_AreLogarithmsOfWhatFollows()
    {
        using SparseTrainer trainer = new(_tiny.Config with { LearnedBigramTable = false }, _tiny.Recipe, _tiny.Corpus.Train, _tiny.Corpus.HeldOut, seed: 1);
        using var scope = NewDisposeScope();
        Tensor table = trainer.Model.Weights.Bigram!.Value;
        long[] tokens = new long[_tiny.Corpus.Train.Length];
        _tiny.Corpus.Train.Read(0, tokens);
        long current = tokens[40];
        long[] next = [.. tokens.Zip(tokens.Skip(1)).Where(pair => pair.First == current).Select(pair => pair.Second)];
        foreach (long token in (long[])[next[0], next[^1], 3])
            table[current, token].item<float>().ShouldBe((float)Math.Log((next.Count(other => other == token) + 1.0) / (next.Length + 280)), 1e-5f);
        table.exp().sum(1).sub(1).abs().max().item<float>().ShouldBeLessThan(1e-4f);
    }

    private static Gen<T> OneOf<T>(params T[] values) => Gen.Int[0, values.Length - 1].Select(index => values[index]);
}
