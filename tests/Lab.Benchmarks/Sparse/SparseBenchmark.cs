using System.Diagnostics;
using Lab.Tensors;
using Lab.Tensors.Kernels;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Lab.Benchmarks.Sparse;

/// <summary>Products with sparse matrices against torch's with the same matrices, dense.</summary>
internal sealed class SparseBenchmark : IBenchmark
{
    private const int Repetitions = 9;

    public string Name => "sparse";

    public async Task RunAsync(BenchmarkReport report, CancellationToken ct)
    {
        TorchRuntime.Configure(0);
        await using TensorWorker worker = new("sparse benchmark");
        await worker.RunAsync(token => MeasureKernels(report, token), ct);
    }

    private static bool MeasureKernels(BenchmarkReport report, CancellationToken ct)
    {
        using var noGrad = no_grad();
        using Generator generator = new(1);
        foreach ((int inputs, int outputs) in new[] { (1024, 4096), (4096, 1024), (256, 1024) })
        {
            foreach (int fraction in new[] { 4, 16, 64, 1000 })
            {
                using var scope = NewDisposeScope();
                Tensor weight = randn([outputs, inputs], generator: generator) * (rand([outputs, inputs], generator: generator) < 1.0 / fraction);
                Tensor bias = randn([outputs], generator: generator);
                using SparseMatrix sparse = new(hasInputGradient: false);
                sparse.Rebuild(weight);
                foreach (int tokens in new[] { 1, 3, 8, 64, 2048 })
                {
                    ct.ThrowIfCancellationRequested();
                    Tensor x = randn([tokens, inputs], generator: generator);
                    Interleaved(report, $"linear.{inputs}x{outputs}.1_of_{fraction}.t{tokens}", () => F.linear(x, weight, bias).Dispose(), () => sparse.Forward(x, bias).Dispose());
                }
            }
        }

        return true;
    }

    /// <summary>Medians of two actions that take turns.</summary>
    private static (double Reference, double Ours) Interleaved(BenchmarkReport report, string name, Action reference, Action ours)
    {
        List<double> references = [], own = [];
        for (int i = -2; i < Repetitions; i++)
        {
            double first = Milliseconds(reference), second = Milliseconds(ours);
            if (i < 0) continue;
            references.Add(first);
            own.Add(second);
        }

        double dense = report.Median($"{name}.dense", references, "ms"), sparse = report.Median($"{name}.sparse", own, "ms");
        report.Ratio($"{name}.speedup", dense, sparse);
        return (dense, sparse);
    }

    /// <summary>Of one call, repeated until a measurement takes about 10 ms.</summary>
    private static double Milliseconds(Action action)
    {
        Stopwatch watch = Stopwatch.StartNew();
        int count = 0;
        do
        {
            action();
            count++;
        }
        while (watch.Elapsed.TotalMilliseconds < 10);
        return watch.Elapsed.TotalMilliseconds / count;
    }
}
