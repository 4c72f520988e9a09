using System.Diagnostics;
using Lab.Tensors;
using Lab.Tensors.Kernels;
using static TorchSharp.torch;

namespace Lab.Benchmarks.Kernels;

/// <summary>The kernels of selection and of the optimizer against the same thing said with torch operations, call by call in turn.</summary>
internal sealed class KernelBenchmark : IBenchmark
{
    private const int Repetitions = 25;
    private const int Rows = 4096;
    private const int Columns = 1024;

    public string Name => "kernels";

    public async Task RunAsync(BenchmarkReport report, CancellationToken ct)
    {
        TorchRuntime.Configure(0);
        await using TensorWorker worker = new("kernel benchmark");
        foreach (int columns in new[] { 256, 1024, 4096 }) await worker.RunAsync(token => AbsTopK(report, columns, token), ct);
        await worker.RunAsync(token => Projections(report, token), ct);
        await worker.RunAsync(token => Updates(report, token), ct);
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

    private static bool Projections(BenchmarkReport report, CancellationToken ct)
    {
        using var scope = NewDisposeScope();
        using Generator generator = new(2);
        Tensor start = randn([Rows, Columns], generator: generator) * 0.02, plain = start.clone(), weight = start.clone();
        foreach (int denominator in new[] { 4, 64 })
        {
            report.Note($"projection of {Rows} x {Columns} on 1/{denominator} of its entries; bar: 15 without a floor");
            int kept = Rows * Columns / denominator;
            foreach ((string floor, Projection projection) in new[] { ("", new Projection(kept)), (".rows", new Projection(kept, NeuronAxis.Rows, 4)), (".columns", new Projection(kept, NeuronAxis.Columns, 4)) })
            {
                // Projecting changes its input, so each call gets a fresh one, outside the measurement.
                Compare(
                    report, $"kernels.projection.{denominator}{floor}", () => PlainProjection(plain, kept), () => SparseProjection.Apply("w", weight, projection), ct,
                    () =>
                    {
                        _ = plain.copy_(start);
                        _ = weight.copy_(start);
                    });
            }
        }

        return true;
    }

    private static bool Updates(BenchmarkReport report, CancellationToken ct)
    {
        report.Note($"a step of {Rows} x {Columns}: gradient norm, Adam, projection on 1/64 with a floor of 4 a row, decay; torch's has no floor");
        using var scope = NewDisposeScope();
        using Generator generator = new(3);
        Tensor[] plain = [.. Enumerable.Range(0, 4).Select(_ => randn([Rows, Columns], generator: generator).abs_())], state = [.. plain.Select(tensor => tensor.clone())];
        int kept = Rows * Columns / 64;
        AdamConstants constants = new(1e-3, 0.9, 0.95, 0.1, 0.5, 10);
        Projection projection = new(kept, NeuronAxis.Rows, 4);
        Compare(report, "kernels.sum_of_squares", () => Math.Pow(plain[1].norm().item<float>(), 2), () => SumOfSquares.Of(state[1]), ct);
        Compare(report, "kernels.adam", () => PlainAdam(plain, constants), () => AdamStep.Apply(state[0], state[1], state[2], state[3], constants), ct);
        Compare(
            report,
            "kernels.update",
            () =>
            {
                PlainAdam(plain, constants);
                PlainProjection(plain[0], kept);
                _ = plain[0].mul_(0.9999);
            },
            () => MatrixUpdate.Apply("w", state[0], state[1], state[2], state[3], constants, projection, 0.9999),
            ct);
        return true;
    }

    /// <summary>As torch.optim.Adam has it, one operation after another.</summary>
    private static void PlainAdam(Tensor[] state, AdamConstants constants)
    {
        Tensor gradient = state[1] * constants.GradientScale;
        _ = state[2].mul_(constants.Beta1).add_(gradient, 1 - constants.Beta1);
        _ = state[3].mul_(constants.Beta2).addcmul_(gradient, gradient, 1 - constants.Beta2);
        Tensor denominator = state[3].sqrt().div_(Math.Sqrt(1 - Math.Pow(constants.Beta2, constants.Step))).add_(constants.Epsilon);
        _ = state[0].addcdiv_(state[2], denominator, -constants.LearningRate / (1 - Math.Pow(constants.Beta1, constants.Step)));
    }

    private static void PlainProjection(Tensor weight, int kept)
    {
        (_, Tensor indices) = weight.abs().flatten().topk(kept, 0, largest: true, sorted: false);
        _ = weight.mul_(zeros_like(weight).view(-1).index_fill_(0, indices, 1f).view(weight.shape));
    }

    internal static void Compare(BenchmarkReport report, string name, Action plain, Action kernel, CancellationToken ct, Action? prepare = null)
    {
        List<double> plainTimes = [], kernelTimes = [];
        // Long enough for the compiler to come back to what is hot.
        for (long start = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(start).TotalSeconds < 0.5;) _ = Milliseconds(kernel);
        for (int repetition = -3; repetition < Repetitions; repetition++)
        {
            ct.ThrowIfCancellationRequested();
            prepare?.Invoke();
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
