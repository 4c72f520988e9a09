using System.Diagnostics;
using System.Runtime.InteropServices;
using Lab.Benchmarks.Hosting;
using Lab.Models;
using Lab.Models.Interventions;
using Lab.Models.Statistics;
using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.Benchmarks.Statistics;

/// <summary>
/// Elements per second of activation statistics on one core, over batches of GPT-2-small's residual stream and MLP: what is made of them,
/// against the plain way in torch on as many cores, which gives no quantiles and merges nothing: var_mean, amin, amax, norm and topk.
/// And forward passes of GPT-2-small's shape that collect all of it at every resid_post against bare ones.
/// </summary>
internal sealed class StatisticsBenchmark : IBenchmark
{
    private const int Tokens = 4096;
    private const int Repetitions = 7;

    public string Name => "statistics";

    public async Task RunAsync(BenchmarkReport report, CancellationToken ct)
    {
        TorchRuntime.Configure(0);
        await using TensorWorker worker = new("statistics benchmark");
        await worker.RunAsync(token => Measure(report, token), ct);
        await worker.RunAsync(token => MeasurePasses(report, token), ct);
    }

    private static bool Measure(BenchmarkReport report, CancellationToken ct)
    {
        int threads = get_num_threads();
        set_num_threads(1);
        foreach (int channels in new[] { 768, 3072 })
        {
            report.Note($"{Tokens} tokens of {channels} channels, normal, half of the channels cut off at zero; one core");
            using var scope = NewDisposeScope();
            using Generator generator = new(3);
            Tensor x = randn(Tokens, channels, generator: generator);
            x[TensorIndex.Ellipsis, ..(channels / 2)] = x[TensorIndex.Ellipsis, ..(channels / 2)].relu();
            StatisticsOptions moments = new() { QuantileError = 0, TopCount = 0 };
            double plain = Rate(report, $"statistics.d{channels}.torch", channels, () => Plain(x), ct);
            foreach ((string what, StatisticsOptions options) in new[] { ("moments", moments), ("moments_top10", moments with { TopCount = 10 }), ("all", new StatisticsOptions()) })
            {
                // A corpus is many batches: the first of them fill the lists of top tokens and make the buckets.
                ActivationStatistics statistics = new("hook_embed", [channels], options);
                int batch = 0;
                void Add()
                {
                    TokenOrigin[] origins = [.. Enumerable.Range(0, Tokens).Select(i => new TokenOrigin(batch, i, 0))];
                    statistics.Add(MemoryMarshal.Cast<byte, float>(x.bytes), origins);
                    batch++;
                }

                for (int i = 0; i < 20; i++) Add();
                double rate = Rate(report, $"statistics.d{channels}.{what}", channels, Add, ct);
                report.Ratio($"statistics.d{channels}.{what}_to_torch", rate, plain);
            }
        }

        set_num_threads(threads);
        return true;
    }

    private static bool MeasurePasses(BenchmarkReport report, CancellationToken ct)
    {
        TransformerConfig config = BenchmarkModels.Gpt2Small;
        using Transformer model = new(config, TransformerWeights.Initialize(config, seed: 1));
        using var noGrad = no_grad();
        TokenBatch batch = new(config, [.. Enumerable.Range(0, 8).Select(row => BenchmarkModels.Tokens(128, row, config.DVocab))]);
        ForwardPlan plan = ForwardPlan.Resolve(model.Hooks, batch, [new ActivationSelector("blocks.*.hook_resid_post")], []);
        IReadOnlyDictionary<string, ActivationStatistics> statistics = StatisticsTap.Create(plan.Captures, new StatisticsOptions());
        List<double> bare = [], collecting = [];
        for (int i = -2; i < Repetitions; i++)
        {
            ct.ThrowIfCancellationRequested();
            double without = Milliseconds(null), with = Milliseconds(new StatisticsTap(plan.Captures, statistics, batch, ct: ct));
            if (i < 0) continue;
            bare.Add(without);
            collecting.Add(with);
        }

        double plain = report.Median("statistics.pass.bare", bare, "ms"), all = report.Median("statistics.pass.collecting", collecting, "ms");
        report.Ratio("statistics.pass.collecting_to_bare", all, plain);
        return true;

        double Milliseconds(IActivationTap? tap)
        {
            using var scope = NewDisposeScope();
            long start = Stopwatch.GetTimestamp();
            model.Forward(new ForwardInput(batch.ToTensor(model.Device)) { Logits = LogitSelection.None }, tap);
            return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        }
    }

    private static double Rate(BenchmarkReport report, string name, int channels, Action action, CancellationToken ct)
    {
        List<double> rates = [];
        for (int i = -1; i < Repetitions; i++)
        {
            ct.ThrowIfCancellationRequested();
            long start = Stopwatch.GetTimestamp();
            action();
            if (i >= 0) rates.Add((double)Tokens * channels / Stopwatch.GetElapsedTime(start).TotalSeconds / 1e6);
        }

        return report.Median(name, rates, "M elements/s");
    }

    private static void Plain(Tensor x)
    {
        using var scope = NewDisposeScope();
        _ = x.var([0L], unbiased: false);
        _ = x.mean([0L]);
        _ = x.amin([0L]);
        _ = x.amax([0L]);
        _ = x.norm(1);
        _ = x.count_nonzero([0L]);
        _ = x.topk(10, 0);
    }
}
