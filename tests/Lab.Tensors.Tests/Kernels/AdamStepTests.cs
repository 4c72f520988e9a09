using Lab.Tensors.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace Lab.Tensors.Tests.Kernels;

public sealed class AdamStepTests
{
    [Theory]
    [InlineData(0.1)]
    [InlineData(1e-8)]
    public void Apply_TenSteps_EqualsTorchAdam(double epsilon)
    {
        using var scope = NewDisposeScope();
        using Generator generator = new(1);
        Tensor start = randn([37, 5], generator: generator);
        using TorchSharp.Modules.Parameter reference = new(start.clone());
        using optim.Optimizer adam = optim.Adam([reference], 0.01, 0.9, 0.95, epsilon);
        Tensor parameter = start.clone(), first = zeros_like(start), second = zeros_like(start);
        for (int step = 1; step <= 10; step++)
        {
            Tensor gradient = randn([37, 5], generator: generator);
            reference.grad = gradient.clone();
            adam.step();
            AdamStep.Apply(parameter, gradient, first, second, new AdamConstants(0.01, 0.9, 0.95, epsilon, 1, step));
        }

        (parameter - reference).abs().max().item<float>().ShouldBeLessThan(2e-6f);
    }

    [Fact]
    public void Apply_TorchOperations_EqualTheKernel()
    {
        using var scope = NewDisposeScope();
        using Generator generator = new(2);
        Tensor gradient = randn([65], generator: generator);
        Tensor host = zeros(65), m = zeros(65), v = zeros(65);
        Tensor torch64 = zeros(65, ScalarType.Float64), m64 = zeros_like(torch64), v64 = zeros_like(torch64);
        AdamConstants constants = new(0.1, 0.9, 0.95, 0.1, 3, 2);
        AdamStep.Apply(host, gradient, m, v, constants);
        AdamStep.Apply(torch64, gradient.to(ScalarType.Float64), m64, v64, constants);
        (host - torch64).abs().max().item<double>().ShouldBeLessThan(1e-6);
    }

    [Fact]
    public void Apply_OtherSizes_NamesTheTensor()
    {
        using var scope = NewDisposeScope();
        AdamConstants constants = new(0.1, 0.9, 0.95, 0.1, 3, 2);
        Tensor all = zeros(7), fewer = zeros(6);
        Should.Throw<ArgumentException>(() => AdamStep.Apply(all, fewer, all, all, constants)).ParamName.ShouldBe("gradient");
        Should.Throw<ArgumentException>(() => AdamStep.Apply(all, all, fewer, all, constants)).ParamName.ShouldBe("firstMoment");
        Should.Throw<ArgumentException>(() => MatrixUpdate.Apply("w", all, all, all, fewer, constants, new Projection(3))).ParamName.ShouldBe("secondMoment");
    }
}
