using System.Diagnostics;
using Lab.Tensors;
using Lab.Tensors.Kernels;
using static TorchSharp.torch;

namespace Lab.Benchmarks.Kernels;

/// <summary>The kernels of selection and of the optimizer against the same thing said with torch operations, call by call in turn.</summary>
internal sealed class KernelBenchmark : IBenchmark
{
    private const int Repetitions = 25;
    private const int WarmUps = 60;

    public string Name => "kernels";

    public async Task RunAsync(BenchmarkReport report, CancellationToken ct)
    {
        TorchRuntime.Configure(0);
        await using TensorWorker worker = new("kernel benchmark");
        foreach (int columns in new[] { 256, 1024, 4096 }) await worker.RunAsync(token => AbsTopK(report, columns, token), ct);
    }

    private static unsafe bool AbsTopK(BenchmarkReport report, int columns, CancellationToken ct)
    {
        int rows = (1 << 20) / columns, k = columns / 4;
        report.Note($"AbsTopK of {rows} x {columns}, k = {k}; bar: 8 at 4096 x 256");
        using var scope = NewDisposeScope();
        using Generator generator = new(1);
        Tensor x = randn([rows, columns], generator: generator), y = empty_like(x);
        Tensor kept = zeros([rows, (columns + 63) / 64], ScalarType.Int64);
        fixed (byte* source = x.bytes, target = y.bytes, bits = kept.bytes)
        {
            float* s = (float*)source, t = (float*)target;
            ulong* b = (ulong*)bits;
            Compare(report, $"kernels.abstopk.{columns}", () => PlainTopK(x, k), () => Lab.Tensors.Kernels.AbsTopK.Select(s, t, b, rows, columns, k), ct);
            Compare(report, $"kernels.abstopk_mask.{columns}", () => _ = x * y, () => Lab.Tensors.Kernels.AbsTopK.Mask(s, b, t, rows, columns), ct);
        }

        return true;
    }

    private static void PlainTopK(Tensor x, int k)
    {
        (_, Tensor indices) = x.abs().topk(k, -1, largest: true, sorted: false);
        _ = zeros_like(x).scatter_(-1, indices, x.gather(-1, indices));
    }

    private static void Compare(BenchmarkReport report, string name, Action plain, Action kernel, CancellationToken ct)
    {
        List<double> plainTimes = [], kernelTimes = [];
        for (int i = 0; i < WarmUps; i++) kernel();
        for (int repetition = -3; repetition < Repetitions; repetition++)
        {
            ct.ThrowIfCancellationRequested();
            double plainTime = Milliseconds(plain), kernelTime = Milliseconds(kernel);
            if (repetition < 0) continue;
            plainTimes.Add(plainTime);
            kernelTimes.Add(kernelTime);
        }

        double reference = report.Median($"{name}.torch", plainTimes, "ms");
        report.Ratio($"{name}.speedup", reference, report.Median($"{name}.kernel", kernelTimes, "ms"));
    }

    private static double Milliseconds(Action action)
    {
        using var scope = NewDisposeScope();
        long start = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
    }
}
