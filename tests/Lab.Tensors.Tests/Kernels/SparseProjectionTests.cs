using Lab.Tensors.Kernels;
using Lab.Testing;
using TorchSharp;
using static TorchSharp.torch;

namespace Lab.Tensors.Tests.Kernels;

public sealed class SparseProjectionTests
{
    [Theory]
    [InlineData(NeuronAxis.None, 0, 100)]
    [InlineData(NeuronAxis.Rows, 4, 400)]
    [InlineData(NeuronAxis.Columns, 4, 300)]
    [InlineData(NeuronAxis.Rows, 4, 256)]
    public void Apply_AnyAxis_KeepsExactlyKAndTheFloorOfEachNeuron(NeuronAxis axis, int floor, int k)
    {
        using var scope = NewDisposeScope();
        using Generator generator = new(11);
        // Neurons of very different scale, so that without a floor the small ones would lose everything.
        Tensor weight = randn([64, 48], generator: generator) * logspace(-4, 1, 64).unsqueeze(1) * logspace(-4, 1, 48).unsqueeze(0);
        Tensor original = weight.clone();
        SparseProjection.Apply(weight, k, axis, floor);

        weight.count_nonzero().item<long>().ShouldBe(k);
        Tensor kept = weight.ne(0);
        weight[kept].HasSameElements(original[kept]).ShouldBeTrue();
        if (axis != NeuronAxis.None)
        {
            kept.sum(axis == NeuronAxis.Rows ? 1 : 0, type: ScalarType.Int64).min().item<long>().ShouldBeGreaterThanOrEqualTo(floor);
        }
    }

    [Fact]
    public void Apply_NoFloor_KeepsTheLargestMagnitudes()
    {
        using var scope = NewDisposeScope();
        Tensor weight = tensor(new float[] { 0.5f, -3, 2, -0.1f, 2, 1 }, 2, 3);
        SparseProjection.Apply(weight, 2);
        weight.data<float>().ToArray().ShouldBe([0, -3, 2, 0, 0, 0]);
    }

    [Fact]
    public void Apply_TorchOperations_EqualTheKernel()
    {
        using var scope = NewDisposeScope();
        using Generator generator = new(5);
        Tensor onHost = randn([32, 24], generator: generator);
        Tensor withTorch = onHost.to(ScalarType.Float64);
        SparseProjection.Apply(onHost, 150, NeuronAxis.Columns, 4);
        SparseProjection.Apply(withTorch, 150, NeuronAxis.Columns, 4);
        withTorch.to(ScalarType.Float32).HasSameElements(onHost).ShouldBeTrue();
    }

    [Fact]
    public void Apply_TooFewForTheFloor_SaysBothNumbers()
    {
        using Tensor weight = ones(10, 10);
        Should.Throw<ArgumentOutOfRangeException>(() => SparseProjection.Apply(weight, 39, NeuronAxis.Rows, 4)).Message.ShouldContain("40");
    }

    [Theory]
    [InlineData(1, 1000, 10)]
    [InlineData(333, 77, 5000)]
    [InlineData(1000, 300, 4687)]
    [InlineData(64, 64, 4095)]
    [InlineData(64, 64, 0)]
    public void Apply_DistinctMagnitudes_EqualsTorchTopK(int rows, int columns, int k)
    {
        using var scope = NewDisposeScope();
        using Generator generator = new(6);
        // A shuffled ladder of magnitudes with random signs: nothing ties.
        Tensor weight = (randperm(rows * columns, generator: generator).to(ScalarType.Float32) + 1).mul_(randn([rows * columns], generator: generator).sign_()).view(rows, columns);
        (_, Tensor indices) = weight.abs().flatten().topk(k, 0);
        Tensor expected = zeros_like(weight).view(-1).index_copy(0, indices, weight.view(-1)[indices]).view(rows, columns);
        SparseProjection.Apply(weight, k);
        weight.HasSameElements(expected).ShouldBeTrue();
    }
}
