using Lab.Tensors;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Lab.BridgeAlignment.Evaluation;

/// <summary>Kullback-Leibler divergences between next-token distributions.</summary>
internal static class KlDivergence
{
    /// <summary>KL(reference || other) in nats, summed over all rows and positions, for each of the others.</summary>
    /// <param name="reference">Logits [rows, positions, d_vocab].</param>
    /// <param name="others">Logits of the same shape.</param>
    /// <param name="device">Where to compute.</param>
    public static double[] Sums(HostTensor reference, IReadOnlyList<HostTensor> others, Device device)
    {
        using var scope = NewDisposeScope();
        Tensor expected = F.log_softmax(reference.ToTorch(device), -1);
        Tensor probability = expected.exp();
        return [.. others.Select(other =>
        {
            using var inner = NewDisposeScope();
            Tensor difference = expected - F.log_softmax(other.ToTorch(device), -1);
            return difference.mul_(probability).sum(-1).sum(ScalarType.Float64).item<double>();
        })];
    }
}
