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

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float64)]
    public void Mask_TiesAndBothEndsOfK_AreTheSameOnEveryPath(ScalarType type)
    {
        using var scope = NewDisposeScope();
        Tensor x = tensor(new float[] { 1, -2, 2, -1, 2, 0 }, 1, 6).to(type);
        Elements(AbsTopK.Mask(x, 2)).ShouldBe([0, 1, 1, 0, 0, 0]);
        Elements(AbsTopK.Mask(x, 0)).ShouldBe([0, 0, 0, 0, 0, 0]);
        Elements(AbsTopK.Mask(x, 6)).ShouldBe([1, 1, 1, 1, 1, 1]);
        Elements(AbsTopK.Apply(x, 0)).ShouldBe([0, 0, 0, 0, 0, 0]);
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float64)]
    public void Mask_NotFinite_SaysWhere(ScalarType type)
    {
        using var scope = NewDisposeScope();
        Tensor x = zeros(3, 5, type);
        x[1, 4] = float.NaN;
        x[2, 0] = float.PositiveInfinity;
        Should.Throw<ArithmeticException>(() => AbsTopK.Mask(x, 2)).Message.ShouldContain("row 1, column 4 is NaN");
    }

    [Fact]
    public unsafe void Select_NotFinite_SaysWhere()
    {
        float[] x = [1, 2, 3, 4, float.NegativeInfinity, 6];
        ulong[] kept = new ulong[2];
        Should.Throw<ArithmeticException>(() =>
        {
            fixed (float* values = x)
            fixed (ulong* bits = kept) AbsTopK.Select(values, values, bits, 2, 3, 1);
        }).Message.ShouldContain("row 1, column 1 is -Infinity");
    }

    [Theory]
    [InlineData(ScalarType.Float32, false)]
    [InlineData(ScalarType.Float32, true)]
    [InlineData(ScalarType.Float64, false)]
    public void Apply_NotFinite_MakesNaNOfThatRowOnly(ScalarType type, bool requiresGrad)
    {
        using var scope = NewDisposeScope();
        Tensor x = tensor(new float[] { 1, 3, 2, 1, float.PositiveInfinity, 2, 5, 4, 6 }, 3, 3).to(type);
        Tensor y = AbsTopK.Apply(x.requires_grad_(requiresGrad), 1).detach();
        Elements(y).ShouldBe([0, 3, 0, float.NaN, float.NaN, float.NaN, 0, 0, 6]);
    }

    [Fact]
    public void Select_Tensors_EqualsApplyAndItsGradient()
    {
        using var scope = NewDisposeScope();
        using Generator generator = new(4);
        Tensor x = randn([5, 3, 70], generator: generator).requires_grad_(), dy = randn([5, 3, 70], generator: generator);
        Tensor y = empty_like(x), kept = zeros(15, AbsTopK.WordsPerRow(70), ScalarType.Int64), dx = empty_like(dy);
        Tensor expected = AbsTopK.Apply(x, 9);
        expected.backward([dy]);
        AbsTopK.Select(x.detach(), y, kept, 9);
        AbsTopK.Mask(dy, kept, dx);
        y.allclose(expected, 0, 0).ShouldBeTrue();
        dx.allclose(x.grad!, 0, 0).ShouldBeTrue();
        Should.Throw<ArgumentException>(() => AbsTopK.Mask(dy, kept[..3], dx));
    }

    private static float[] Elements(Tensor values) => values.to(ScalarType.Float32).data<float>().ToArray();
}
