using Lab.Tensors;
using Lab.Tensors.Kernels;
using Lab.Tensors.Kernels.Training;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Lab.Benchmarks.Kernels;

/// <summary>Causal attention, forward alone and with its gradients, against libtorch's fused attention and autograd.</summary>
internal sealed class AttentionBenchmark : IBenchmark
{
    public string Name => "attention";

    public async Task RunAsync(BenchmarkReport report, CancellationToken ct)
    {
        TorchRuntime.Configure(0);
        await using TensorWorker worker = new("attention benchmark");
        foreach ((int rows, int length, int heads, int width) in new[] { (8, 256, 16, 16), (8, 256, 64, 16), (8, 128, 12, 64), (1, 1024, 12, 64) })
            await worker.RunAsync(token => Measure(report, rows, length, heads, width, token), ct);
    }

    private static unsafe bool Measure(BenchmarkReport report, int rows, int length, int heads, int width, CancellationToken ct)
    {
        using var scope = NewDisposeScope();
        using Generator generator = new(1);
        Tensor[] all = [.. Enumerable.Range(0, 9).Select(_ => randn([rows, length, heads, width], generator: generator))];
        Tensor logSumExp = zeros(rows, heads, length);
        CausalAttention attention = new(rows, length, heads, width, (float)(1 / Math.Sqrt(width)));
        float* Address(int i) => HostMemory.Address(all[i]);
        string name = $"attention.{rows}x{length}x{heads}x{width}";
        KernelBenchmark.Compare(
            report, $"{name}.forward",
            () =>
            {
                using var noGrad = no_grad();
                _ = F.scaled_dot_product_attention(all[0].transpose(1, 2), all[1].transpose(1, 2), all[2].transpose(1, 2), is_casual: true).transpose(1, 2).contiguous();
            },
            () => attention.Forward(Address(0), Address(1), Address(2), null, Address(3), HostMemory.Address(logSumExp)), ct);
        Tensor[] leaves = [.. all[..3].Select(tensor => tensor.clone().requires_grad_())];
        KernelBenchmark.Compare(
            report, $"{name}.both",
            () =>
            {
                Tensor z = F.scaled_dot_product_attention(leaves[0].transpose(1, 2), leaves[1].transpose(1, 2), leaves[2].transpose(1, 2), is_casual: true).transpose(1, 2).contiguous();
                z.backward([all[4]]);
            },
            () =>
            {
                attention.Forward(Address(0), Address(1), Address(2), null, Address(3), HostMemory.Address(logSumExp));
                attention.Backward(Address(0), Address(1), Address(2), null, Address(3), HostMemory.Address(logSumExp), Address(4), Address(5), Address(6), Address(7), null);
            },
            ct);
        return true;
    }
}
