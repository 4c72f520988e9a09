using Lab.Tensors.Kernels;
using Lab.Tensors.Kernels.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Lab.Tensors.Tests.Kernels.Training;

public sealed class RmsNormKernelTests
{
    [Theory]
    [InlineData(1, 1)]
    [InlineData(1, 16)]
    [InlineData(5, 31)]
    [InlineData(70, 130)]
    [InlineData(300, 64)]
    public unsafe void ForwardAndBackward_AnyShape_EqualAutogradInFp64(int rows, int columns)
    {
        const float Epsilon = 1e-3f;
        using var scope = NewDisposeScope();
        using Generator generator = new(1);
        Tensor x = randn([rows, columns], generator: generator), gain = randn([columns], generator: generator), dy = randn([rows, columns], generator: generator);
        Tensor start = randn([rows, columns], generator: generator), dx = start.clone(), y = zeros(rows, columns), inverse = zeros(rows), dgain = full([columns + 1], 7f);
        RmsNormKernel.Forward(HostMemory.Address(x), HostMemory.Address(gain), HostMemory.Address(y), HostMemory.Address(inverse), rows, columns, Epsilon);
        RmsNormKernel.GainGradient(HostMemory.Address(x), HostMemory.Address(inverse), HostMemory.Address(dy), HostMemory.Address(dgain), rows, columns);
        RmsNormKernel.Backward(HostMemory.Address(x), HostMemory.Address(gain), HostMemory.Address(inverse), HostMemory.Address(dy), HostMemory.Address(dx), rows, columns);

        Tensor wideX = x.to(ScalarType.Float64).requires_grad_(), wideGain = gain.to(ScalarType.Float64).requires_grad_();
        Tensor expected = wideX * (wideX.square().mean([-1], keepdim: true) + (double)Epsilon).rsqrt() * wideGain;
        expected.backward([dy.to(ScalarType.Float64)]);
        RequireNear(y, expected);
        RequireNear(dx, wideX.grad! + start);
        RequireNear(dgain.narrow(0, 0, columns), wideGain.grad!);
        dgain[columns].item<float>().ShouldBe(7);
    }

    [Fact]
    public unsafe void Forward_OfZeros_IsZero()
    {
        using var scope = NewDisposeScope();
        Tensor x = zeros(2, 20), gain = ones(20), y = ones(2, 20), inverse = zeros(2);
        RmsNormKernel.Forward(HostMemory.Address(x), HostMemory.Address(gain), HostMemory.Address(y), HostMemory.Address(inverse), 2, 20, 1.1920929e-07f);
        y.count_nonzero().item<long>().ShouldBe(0);
        inverse.isfinite().all().item<bool>().ShouldBeTrue();
    }

    private static void RequireNear(Tensor actual, Tensor expected)
    {
        double largest = Math.Max(1, expected.abs().max().item<double>());
        (actual - expected).abs().max().item<double>().ShouldBeLessThan(1e-5 * largest);
    }
}
