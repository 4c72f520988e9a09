using Lab.Models;
using Lab.SparseTraining.Training;
using Lab.SparseTraining.Training.Steps;
using Lab.Testing;
using TorchSharp;
using static TorchSharp.torch;

namespace Lab.SparseTraining.Tests.Training.Steps;

/// <summary>Loss and every gradient by hand against libtorch's autograd through the same model.</summary>
public sealed class TrainingPassTests
{
    private static readonly TransformerConfig Plain = new() { NLayers = 2, DModel = 32, NHeads = 4, DHead = 8, DMlp = 96, DVocab = 53, NCtx = 80 };

    public static TheoryData<string> Configs => [.. All.Keys];

    private static Dictionary<string, TransformerConfig> All { get; } = new()
    {
        ["dense"] = Plain,
        ["AbsTopK"] = Plain with { ActivationFraction = 0.25 },
        ["AbsTopK at some sites"] = Plain with { ActivationFraction = 0.5, ActivationSites = AbsTopKSites.MlpNeuron | AbsTopKSites.AttnK },
        ["AbsTopK that keeps nothing"] = Plain with { ActivationFraction = 0.02 },
        ["sinks, bigram table, constant bias"] = Plain with { AttentionSink = true, BigramTable = true, FinalLogitsBias = true, ActivationFraction = 0.5 },
        ["counted bigrams"] = Plain with { BigramTable = true, LearnedBigramTable = false },
        ["learned positions, tied, ReLU"] = Plain with { Positions = PositionKind.Learned, TiedUnembedding = true, Activation = ActivationFunction.Relu },
        ["no biases"] = Plain with { AttentionBias = false, AttentionOutBias = false, MlpBias = false },
        ["width of a head that is no vector"] = Plain with { NHeads = 3, DHead = 20, DModel = 60, DMlp = 41 },
        ["two vectors a head"] = Plain with { NHeads = 2, DHead = 32, DModel = 64, AttentionSink = true },
    };

    [Theory]
    [MemberData(nameof(Configs))]
    public void Run_EqualsAutograd(string name)
    {
        foreach ((int rows, int length, double density) in new[] { (3, 24, 1.0), (2, 70, 1.0), (2, 17, 0.2), (1, 1, 1.0), (5, 3, 0.1) })
        {
            TransformerConfig config = All[name];
            using var scope = NewDisposeScope();
            using Transformer model = Model(config, density, seed: (rows * 100) + length);
            using TrainingPass pass = new(model, rows, length);
            long[] batch = Batch(config, rows, length);

            // Twice: the second run finds what the first left in memory.
            pass.Run(batch);
            double loss = pass.Run(batch);
            Dictionary<string, Tensor> own = model.Weights.Trained.ToDictionary(parameter => parameter.Name, parameter => parameter.Value.grad!.clone());
            foreach (NamedParameter parameter in model.Weights.All) parameter.Value.grad = null;
            Tensor expected = HeldOutEvaluator.NextTokenLoss(model, tensor(batch, rows, length + 1));
            expected.backward();

            loss.ShouldBe(expected.item<float>(), 1e-5 * Math.Abs(loss));
            foreach (NamedParameter parameter in model.Weights.Trained)
            {
                Tensor gradient = parameter.Value.grad ?? zeros_like(parameter.Value);
                double largest = Math.Max(1e-6, gradient.abs().max().item<float>());
                double error = (own[parameter.Name] - gradient).abs().max().item<float>();
                error.ShouldBeLessThan(2e-5 * largest, $"{parameter.Name}, {rows} x {length}, density {density}, largest {largest}");
            }
        }
    }

    [Fact]
    public void Run_OnAnyNumberOfThreads_GivesTheSameBits()
    {
        using var scope = NewDisposeScope();
        using Transformer model = Model(All["AbsTopK"], 0.2, seed: 3);
        using TrainingPass pass = new(model, 4, 24);
        long[] batch = Batch(model.Config, 4, 24);
        double first = pass.Run(batch);
        float[] bits = [.. model.Weights.All.SelectMany(parameter => parameter.Value.grad!.data<float>().ToArray())];

        double second = Threads.WithOne(() => pass.Run(batch));

        second.ShouldBe(first);
        model.Weights.All.SelectMany(parameter => parameter.Value.grad!.data<float>().ToArray()).ShouldBe(bits);
    }

    /// <summary>What is left are libtorch's handles of views, a few bytes for each product; nothing grows with tokens or channels.</summary>
    [Fact]
    public void Run_InSteadyState_TakesNoMemoryForTensors()
    {
        using var scope = NewDisposeScope();
        TransformerConfig config = Plain with { DModel = 128, NHeads = 16, DMlp = 512, DVocab = 500, ActivationFraction = 0.25, BigramTable = true };
        using Transformer model = Model(config, 0.2, seed: 4);
        using TrainingPass pass = new(model, 8, 24);
        long[] batch = Batch(config, 8, 24);
        for (int i = 0; i < 3; i++) pass.Run(batch);
        long tensors = DisposeScopeManager.Statistics.ThreadTotalLiveCount, bytes = GC.GetAllocatedBytesForCurrentThread();

        for (int i = 0; i < 10; i++) pass.Run(batch);

        (DisposeScopeManager.Statistics.ThreadTotalLiveCount - tensors).ShouldBe(0);
        ((GC.GetAllocatedBytesForCurrentThread() - bytes) / 10).ShouldBeLessThan(32 << 10);
    }

    [Fact]
    public void Run_OfActivationsThatAreNotFinite_Throws()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using Transformer model = Model(Plain, 1, seed: 1);
        model.Weights.TokenEmbedding.Value.fill_(float.NaN);
        using TrainingPass pass = new(model, 2, 5);

        Should.Throw<ArithmeticException>(() => pass.Run(Batch(Plain, 2, 5)));
    }

    [Fact]
    public void Run_OfAnotherBatchSize_NamesTheBatch()
    {
        using Transformer model = Model(Plain, 1, seed: 1);
        using TrainingPass pass = new(model, 2, 5);

        Should.Throw<ArgumentException>(() => pass.Run(Batch(Plain, 2, 6))).ParamName.ShouldBe("batch");
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(53)]
    [InlineData(1L << 32)]
    public void Run_OfATokenOutsideOfTheVocabulary_NamesIt(long id)
    {
        using Transformer model = Model(Plain, 1, seed: 1);
        using TrainingPass pass = new(model, 2, 5);
        long[] batch = Batch(Plain, 2, 5);
        batch[^1] = id;

        Should.Throw<ArgumentException>(() => pass.Run(batch)).Message.ShouldContain($"{id}");
    }

    [Fact]
    public void Supports_OtherArchitectures_SaysNo()
    {
        foreach (TransformerConfig config in new[]
        {
            Plain with { Norm = NormKind.Layer }, Plain with { ResidualRelu = true }, Plain with { Positions = PositionKind.Concatenated, DPos = 4 },
            Plain with { ActivationFraction = 0.5, ActivationSites = AbsTopKSites.ResidPostMlp },
        })
        {
            using Transformer model = new(config, TransformerWeights.Initialize(config, 1));
            TrainingPass.Supports(model).ShouldBeFalse(config.ToString());
        }
    }

    /// <summary>Weights large enough that every part matters, some of them zero.</summary>
    private static Transformer Model(TransformerConfig config, double density, long seed)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using Generator generator = new((ulong)seed);
        Transformer model = new(config, TransformerWeights.Initialize(config, seed));
        foreach (NamedParameter parameter in model.Weights.All)
        {
            Tensor noise = randn(parameter.Value.shape, generator: generator);
            parameter.Value.add_(noise * 0.2);
            if (parameter.Value.dim() == 2) parameter.Value.mul_(rand(parameter.Value.shape, generator: generator).lt(density).to(ScalarType.Float32));
            parameter.Value.requires_grad = true;
        }

        return model;
    }

    private static long[] Batch(TransformerConfig config, int rows, int length)
    {
        Random random = new(rows + length);
        return [.. Enumerable.Range(0, rows * (length + 1)).Select(_ => (long)random.Next(config.DVocab))];
    }
}
