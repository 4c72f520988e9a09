using Lab.Tensors.Kernels;
using Lab.Testing;
using TorchSharp;
using static TorchSharp.torch;

namespace Lab.Tensors.Tests.Kernels;

public sealed class AbsTopKTests
{
    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(3, 7, 2)]
    [InlineData(64, 128, 32)]
    [InlineData(513, 100, 99)]
    [InlineData(2048, 256, 1)]
    public void Mask_DistinctMagnitudes_EqualsTorchTopK(int rows, int columns, int k)
    {
        using var scope = NewDisposeScope();
        using Generator generator = new(7);
        Tensor x = randn([rows, columns], generator: generator);
        (_, Tensor indices) = x.abs().topk(k, -1);
        Tensor expected = zeros_like(x).scatter_(-1, indices, ones_like(indices, ScalarType.Float32));
        AbsTopK.Mask(x, k).HasSameElements(expected).ShouldBeTrue();
    }

    [Fact]
    public void Mask_Ties_KeepsLowestIndices()
    {
        using var scope = NewDisposeScope();
        Tensor x = tensor(new float[] { 1, -2, 2, -1, 2, 0 }, 1, 6);
        AbsTopK.Mask(x, 2).data<float>().ToArray().ShouldBe([0, 1, 1, 0, 0, 0]);
        AbsTopK.Mask(zeros(1, 4), 3).data<float>().ToArray().ShouldBe([1, 1, 1, 0]);
    }

    [Fact]
    public void Apply_Backward_GivesGradientToKeptEntriesOnly()
    {
        using var scope = NewDisposeScope();
        Tensor x = tensor(new float[] { 3, -1, 2, -4 }, 1, 4, requires_grad: true);
        Tensor y = AbsTopK.Apply(x, 2);
        y.data<float>().ToArray().ShouldBe([3, 0, 0, -4]);
        (y * tensor(new float[] { 1, 2, 3, 4 })).sum().backward();
        x.grad!.data<float>().ToArray().ShouldBe([1, 0, 0, 4]);
    }

    [Fact]
    public void Mask_OtherElementType_TakesTorchOperationsWithEqualResult()
    {
        using var scope = NewDisposeScope();
        using Generator generator = new(3);
        Tensor x = randn([16, 32], generator: generator);
        AbsTopK.Mask(x.to(ScalarType.Float64), 8).to(ScalarType.Float32).HasSameElements(AbsTopK.Mask(x, 8)).ShouldBeTrue();
    }
}
