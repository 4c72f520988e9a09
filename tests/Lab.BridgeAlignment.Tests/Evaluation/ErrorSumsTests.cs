using Lab.BridgeAlignment.Evaluation;
using static TorchSharp.torch;

namespace Lab.BridgeAlignment.Tests.Evaluation;

public sealed class ErrorSumsTests
{
    [Fact]
    public void Nmse_TwoBatches_IsThatOfTheirUnion()
    {
        using var scope = NewDisposeScope();
        ErrorSums sut = new(channels: 2);

        // Targets (0,0), (2,0), (4,6): mean (2,2), squared distances 8 + 4 + 20. Each prediction is off by 1 in one channel.
        sut.Add(tensor(new float[,] { { 1, 0 }, { 2, 1 } }), tensor(new float[,] { { 0, 0 }, { 2, 0 } }));
        sut.Add(tensor(new float[,] { { 3, 6 } }), tensor(new float[,] { { 4, 6 } }));

        sut.Mean.ShouldBe([2, 2]);
        sut.Nmse.ShouldBe(3.0 / 32, 1e-12);
    }
}
