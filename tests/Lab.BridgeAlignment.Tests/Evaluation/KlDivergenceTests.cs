using Lab.BridgeAlignment.Evaluation;
using Lab.Tensors;

namespace Lab.BridgeAlignment.Tests.Evaluation;

public sealed class KlDivergenceTests
{
    [Fact]
    public void Sums_KnownDistributions_AreTheirDivergences()
    {
        // Two positions: (1/2, 1/4, 1/4) against uniform, and uniform against itself.
        float half = MathF.Log(2), quarter = 0, shift = 100;
        HostTensor reference = HostTensor.FromFloats("p", [half, quarter, quarter, 1, 1, 1], 1, 2, 3);
        HostTensor uniform = HostTensor.FromFloats("q", [shift, shift, shift, 5, 5, 5], 1, 2, 3);

        double[] sums = KlDivergence.Sums(reference, [reference, uniform], TorchSharp.torch.CPU);

        sums[0].ShouldBe(0);
        sums[1].ShouldBe((0.5 * Math.Log(1.5)) + (0.5 * Math.Log(0.75)), 1e-5);
    }
}
