using Lab.CircuitAnalysis.Pruning;
using static TorchSharp.torch;

namespace Lab.CircuitAnalysis.Tests.Pruning;

public sealed class StepFunctionTests
{
    [Theory]
    [InlineData(1.0)]
    [InlineData(0.25)]
    public void Apply_AnyLogits_StepsForwardAndHasTheSigmoidsGradient(double temperature)
    {
        using var scope = NewDisposeScope();
        float[] logits = [-1, -0.3f, 0, 0.2f, 1];
        float[] upstream = [1, -2, 3, -4, 5];
        Tensor tau = tensor(logits, requires_grad: true);

        Tensor mask = StepFunction.Apply(tau, temperature);
        (mask * tensor(upstream)).sum().backward();

        mask.data<float>().ToArray().ShouldBe([0, 0, 0, 1, 1]);
        float[] gradient = tau.grad!.data<float>().ToArray();
        for (int i = 0; i < logits.Length; i++)
        {
            double s = 1 / (1 + Math.Exp(-logits[i] / temperature));
            ((double)gradient[i]).ShouldBe(upstream[i] * s * (1 - s) / temperature, 1e-5);
        }
    }
}
