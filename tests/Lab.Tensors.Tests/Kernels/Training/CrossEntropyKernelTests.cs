using Lab.Tensors.Kernels;
using Lab.Tensors.Kernels.Training;
using Lab.Testing;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Lab.Tensors.Tests.Kernels.Training;

public sealed class CrossEntropyKernelTests
{
    [Theory]
    [InlineData(1, 1, 1.0)]
    [InlineData(1, 2, 1.0)]
    [InlineData(6, 17, 1.0)]
    [InlineData(40, 53, 5.0)]
    [InlineData(100, 2048, 1.0)]
    // Further apart than the exponential's range.
    [InlineData(20, 33, 150.0)]
    public unsafe void Run_LogitsBigramsAndBias_EqualsAutogradInFp64(int rows, int columns, double scale)
    {
        using var scope = NewDisposeScope();
        using Generator generator = new(1);
        Tensor logits = randn([rows, columns], generator: generator) * scale, bigram = randn([columns, columns], generator: generator), bias = randn([columns], generator: generator);
        int[] ids = [.. Enumerable.Range(0, rows).Select(row => row * 5 % columns)], targets = [.. Enumerable.Range(0, rows).Select(row => row * 3 % columns)];
        foreach (bool isComplete in new[] { false, true })
        {
            Tensor wide = logits.to(ScalarType.Float64).requires_grad_(), all = wide;
            if (isComplete) all = wide + bigram.to(ScalarType.Float64).index_select(0, tensor(ids).to(ScalarType.Int64)) + bias.to(ScalarType.Float64);
            Tensor expected = F.cross_entropy(all, tensor(targets).to(ScalarType.Int64)), losses = zeros(rows), gradient = cat([logits.flatten(), full([16], 7f)]);
            expected.backward();
            double loss;
            fixed (int* id = ids, target = targets)
            {
                loss = CrossEntropyKernel.Run(
                    HostMemory.Address(gradient), isComplete ? HostMemory.Address(bigram) : null, isComplete ? HostMemory.Address(bias) : null, id, target, HostMemory.Address(losses), rows, columns);
            }

            double mean = expected.item<double>();
            loss.ShouldBe(mean, 1e-6 + (Math.Abs(mean) * 1e-6));
            losses.to(ScalarType.Float64).mean().item<double>().ShouldBe(loss, 1e-6 + (Math.Abs(loss) * 1e-6));
            (gradient.narrow(0, 0, rows * columns).view(rows, columns) - wide.grad!).abs().max().item<double>().ShouldBeLessThan(2e-6 * Math.Max(1, scale / 10) / rows);
            gradient.narrow(0, rows * columns, 16).HasSameElements(full([16], 7f)).ShouldBeTrue();
        }
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public unsafe void Run_LogitThatIsNotFinite_GivesALossThatIsNone(float bad)
    {
        float[] logits = new float[3 * 20], losses = new float[3];
        logits[25] = bad;
        int[] ids = [1, 2, 3];
        fixed (float* values = logits, each = losses)
        fixed (int* id = ids) double.IsFinite(CrossEntropyKernel.Run(values, null, null, id, id, each, 3, 20)).ShouldBeFalse();
    }
}
