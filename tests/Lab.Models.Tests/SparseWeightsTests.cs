using CsCheck;
using Lab.Models.Folders;
using Lab.Tensors;
using Lab.Testing;
using static TorchSharp.torch;

namespace Lab.Models.Tests;

public sealed class SparseWeightsTests
{
    private const double Tolerance = 1e-5;

    private static readonly Gen<(TransformerConfig Config, double Density, int Seed)> Models = Gen.Select(
        Gen.Int[1, 2], Gen.Int[1, 5], Gen.Int[4, 24], Gen.Int[1, 200], Gen.Int[2, 80], Gen.Bool, Gen.Double[0, 0.5], Gen.Int,
        (layers, heads, dHead, dMlp, vocabulary, hasBias, density, seed) => (
            new TransformerConfig
            {
                NLayers = layers,
                DModel = heads * dHead,
                NHeads = heads,
                DHead = dHead,
                DMlp = dMlp,
                DVocab = vocabulary,
                NCtx = 24,
                AttentionBias = hasBias,
                MlpBias = hasBias,
            },
            density,
            seed));

    [Theory]
    [MemberData(nameof(TransformerGoldenTests.Folders), MemberType = typeof(TransformerGoldenTests))]
    public void Forward_GoldenTokens_GivesGoldenLogitsAndActivations(string name)
    {
        using GoldenFolder golden = new(name);
        using Transformer model = ModelFolder.Load(golden.Folder);
        model.UseSparseKernels(maxDensity: 1);
        model.SparseBytes.ShouldBeGreaterThan(0);
        golden.ShouldMatch(model, Tolerance);
    }

    [Fact]
    public void Forward_RandomSparseModels_GivesTheDenseActivationsAtEveryHook() => Models.Sample(
        drawn =>
        {
            using var scope = NewDisposeScope();
            using var noGrad = no_grad();
            using Transformer model = Create(drawn.Config, drawn.Density, drawn.Seed);
            Random random = new(drawn.Seed);
            (int rows, int length) = (random.Next(1, 4), random.Next(1, 25));
            Tensor ids = tensor([.. Enumerable.Range(0, rows * length).Select(_ => (long)random.Next(drawn.Config.DVocab))], rows, length);
            RecordingTap dense = new(), sparse = new();
            Tensor expected = model.Forward(ids, dense);
            model.UseSparseKernels(maxDensity: 1);
            model.Sparse!.Count.ShouldBe(4 * drawn.Config.NLayers + 1);
            Near(model.Forward(ids, sparse), expected);
            dense.Tensors.Count.ShouldBe(model.Hooks.All.Count);
            foreach (HostTensor activation in dense.Tensors) Near(sparse[activation.Name!].ToTorch(), activation.ToTorch());
        },
        iter: 40);

    [Fact]
    public void Forward_AbsTopK_GivesTheDenseLogits()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using Transformer model = RandomModels.Create("circuit_sparsity");
        Tensor ids = tensor([.. RandomModels.Rows(5, 16)[0].Select(token => (long)token)], 1, 16);
        Tensor expected = model.Forward(ids);
        model.UseSparseKernels(maxDensity: 1);
        Near(model.Forward(ids), expected);
    }

    [Fact]
    public void Forward_WithGradients_StaysDense()
    {
        using var scope = NewDisposeScope();
        using Transformer model = Changed(out Tensor ids, out Tensor ofOld, out Tensor ofNew);
        Tensor weight = model.Weights.Blocks[0].Mlp.In.Weight.Value;
        weight.requires_grad = true;
        Tensor logits = model.Forward(ids);
        Near(logits.detach(), ofNew);
        logits.sum().backward();
        weight.grad.ShouldNotBeNull().abs().sum().item<float>().ShouldBeGreaterThan(0);
        using var noGrad = no_grad();
        Near(model.Forward(ids), ofOld);
        model.UseSparseKernels(maxDensity: 1);
        Near(model.Forward(ids), ofNew);
    }

    [Fact]
    public void Forward_EditedMatrices_StayDense()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using Transformer model = Changed(out Tensor ids, out Tensor ofOld, out Tensor ofNew);
        Tensor? Edited(NamedParameter parameter) => model.Forward(new ForwardInput(ids) { Edits = new NoChange(parameter.Name) });
        Near(Edited(model.Weights.Blocks[0].Mlp.In.Weight)!, ofNew);
        Near(Edited(model.Weights.Blocks[0].Mlp.In.Bias!)!, ofNew);
        Near(Edited(model.Weights.Blocks[0].Mlp.Out.Weight)!, ofOld);
    }

    [Fact]
    public void UseSparseKernels_ByDefault_TakesLargeSparseMatricesOnly()
    {
        TransformerConfig config = RandomModels.Configs["circuit_sparsity"] with { DMlp = 8192, NLayers = 1 };
        using Transformer sparse = Create(config, 1.0 / 64, 1), dense = Create(config, 1, 1);
        sparse.SparseBytes.ShouldBe(0);
        sparse.UseSparseKernels();
        sparse.Sparse!.Count.ShouldBe(2, "the MLP's matrices");
        sparse.SparseBytes.ShouldBeGreaterThan(0);
        dense.UseSparseKernels();
        dense.SparseBytes.ShouldBe(0);
        using Transformer other = new(config, new TransformerWeights(config, (_, shape) => zeros(shape, ScalarType.Float64)));
        other.UseSparseKernels();
        other.SparseBytes.ShouldBe(0);
    }

    /// <summary>A model whose sparse forms are of other weights than its dense ones.</summary>
    private static Transformer Changed(out Tensor ids, out Tensor ofOld, out Tensor ofNew)
    {
        using var noGrad = no_grad();
        Transformer model = RandomModels.Create("circuit_sparsity");
        ids = tensor([.. RandomModels.Rows(3, 12)[0].Select(token => (long)token)], 1, 12);
        ofOld = model.Forward(ids);
        model.UseSparseKernels(maxDensity: 1);
        model.Weights.Blocks[0].Mlp.In.Weight.Value.mul_(-1.5);
        using Transformer dense = new(model.Config, new TransformerWeights(model.Config, (name, _) => model.Weights.All.Single(parameter => parameter.Name == name).Value.clone()));
        ofNew = dense.Forward(ids);
        (ofNew - ofOld).abs().max().item<float>().ShouldBeGreaterThan(0.01f);
        return model;
    }

    private static Transformer Create(TransformerConfig config, double density, int seed)
    {
        using Generator generator = new((ulong)(uint)seed);
        return new Transformer(config, new TransformerWeights(config, (_, shape) =>
        {
            using Tensor values = randn(shape, generator: generator), drawn = rand(shape, generator: generator), kept = drawn < density;
            return values.mul_(Math.Min(1, 2 / Math.Sqrt(1 + density * shape[^1]))) * kept;
        }));
    }

    private static void Near(Tensor actual, Tensor expected) =>
        (actual - expected).abs().max().item<float>().ShouldBeLessThan((float)(Tolerance * Math.Max(1, expected.abs().max().item<float>())));

    /// <summary>Edits that name a parameter and change nothing.</summary>
    private sealed class NoChange(string name) : IWeightEdits
    {
        public bool Touches(string parameter) => parameter == name;

        public Tensor Linear(string parameter, Tensor x, Tensor y) => y;

        public Tensor Vector(string parameter, Tensor? factor, Tensor y) => y;

        public Tensor Lookup(string parameter, Tensor ids, Tensor y) => y;
    }
}
