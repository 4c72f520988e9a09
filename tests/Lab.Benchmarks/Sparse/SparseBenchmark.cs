using System.Diagnostics;
using Lab.Benchmarks.Hosting;
using Lab.Models;
using Lab.Tensors;
using Lab.Tensors.Kernels;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Lab.Benchmarks.Sparse;

/// <summary>
/// Passes of a model of which 1 of 1,000 weights is not zero, embeddings included, with sparse kernels against the same model with
/// dense ones; and single products with sparse matrices against torch's.
/// </summary>
internal sealed class SparseBenchmark : IBenchmark
{
    private const int Repetitions = 9;

    public string Name => "sparse";

    public async Task RunAsync(BenchmarkReport report, CancellationToken ct)
    {
        TorchRuntime.Configure(0);
        await using TensorWorker worker = new("sparse benchmark");
        await worker.RunAsync(token => MeasureModel(report, token), ct);
        await worker.RunAsync(token => MeasureKernels(report, token), ct);
    }

    private static bool MeasureModel(BenchmarkReport report, CancellationToken ct)
    {
        TransformerConfig config = new()
        {
            NLayers = 4,
            DModel = 1024,
            NHeads = 64,
            DHead = 16,
            DMlp = 4096,
            DVocab = 2048,
            NCtx = 256,
            ActivationFraction = 0.25,
        };
        using var noGrad = no_grad();
        TransformerWeights weights = TransformerWeights.Initialize(config, seed: 1);
        foreach (NamedParameter parameter in weights.All.Where(parameter => parameter.Value.dim() == 2)) SparseProjection.Apply(parameter.Value, parameter.Value.numel() / 1000);
        using Transformer dense = new(config, weights), sparse = new(config, weights);
        sparse.UseSparseKernels();
        report.Note($"d_model {config.DModel}, {config.NLayers} layers, AbsTopK {config.ActivationFraction}; sparse forms take {sparse.SparseBytes} bytes");
        foreach ((int rows, int length) in new[] { (1, 1), (1, 16), (1, 256), (8, 256) })
        {
            ct.ThrowIfCancellationRequested();
            using Tensor ids = tensor([.. Enumerable.Range(0, rows).SelectMany(row => BenchmarkModels.Tokens(length, row, config.DVocab)).Select(token => (long)token)], rows, length);
            Interleaved(report, $"pass.d{config.DModel}.1_of_1000.t{rows * length}", () => dense.Forward(ids).Dispose(), () => sparse.Forward(ids).Dispose());
        }

        return true;
    }

    private static bool MeasureKernels(BenchmarkReport report, CancellationToken ct)
    {
        using var noGrad = no_grad();
        using Generator generator = new(1);
        foreach ((int inputs, int outputs) in new[] { (1024, 4096), (256, 1024) })
        {
            foreach (int fraction in new[] { 4, 16, 64, 1000 })
            {
                using var scope = NewDisposeScope();
                Tensor weight = randn([outputs, inputs], generator: generator) * (rand([outputs, inputs], generator: generator) < 1.0 / fraction);
                Tensor bias = randn([outputs], generator: generator);
                using SparseMatrix sparse = new(hasInputGradient: false);
                sparse.Rebuild(weight);
                foreach (int tokens in new[] { 1, 16, 64, 2048 })
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
    private static void Interleaved(BenchmarkReport report, string name, Action reference, Action ours)
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
