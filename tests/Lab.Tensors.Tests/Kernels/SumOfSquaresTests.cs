using Lab.Tensors.Kernels;
using Lab.Testing;
using TorchSharp;
using static TorchSharp.torch;

namespace Lab.Tensors.Tests.Kernels;

public sealed class SumOfSquaresTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(15)]
    [InlineData(4097)]
    [InlineData(200_003)]
    public void Of_AnyLength_EqualsTheSumInFp64(int count)
    {
        using var scope = NewDisposeScope();
        using Generator generator = new(2);
        Tensor x = randn([count], generator: generator) * 1e18;
        double expected = x.data<float>().ToArray().Sum(value => (double)value * value);
        SumOfSquares.Of(x).ShouldBe(expected, expected * 1e-12);
        SumOfSquares.Of(x.to(ScalarType.Float64)).ShouldBe(expected, expected * 1e-12);
    }

    [Fact]
    public void Of_AnyNumberOfThreads_HasTheSameBits()
    {
        using var scope = NewDisposeScope();
        using Generator generator = new(2);
        Tensor x = randn([1_000_003], generator: generator);
        double expected = Threads.WithOne(() => SumOfSquares.Of(x));
        for (int i = 0; i < 20; i++) SumOfSquares.Of(x).ShouldBe(expected);
    }

    [Fact]
    public void Of_NotANumber_IsNotANumber()
    {
        using Tensor x = ones(100_000);
        x[70_000] = float.NaN;
        SumOfSquares.Of(x).ShouldBe(double.NaN);
    }
}
