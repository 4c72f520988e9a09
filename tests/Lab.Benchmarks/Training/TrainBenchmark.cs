using System.Diagnostics;
using Lab.Models;
using Lab.Models.Corpora;
using Lab.SparseTraining.Corpora;
using Lab.SparseTraining.Training;
using Lab.Tensors;

namespace Lab.Benchmarks.Training;

/// <summary>
/// Training tokens per second of the sparse recipe (AbsTopK 1/4 at eight sites a layer, weights projected to 1/4) against the
/// same model and data without any sparsity, in alternating blocks of steps.
/// </summary>
internal sealed class TrainBenchmark : IBenchmark
{
    private const int Blocks = 7;
    private const int StepsPerBlock = 10;

    public string Name => "train";

    public async Task RunAsync(BenchmarkReport report, CancellationToken ct)
    {
        TorchRuntime.Configure(0);
        string folder = Directory.CreateTempSubdirectory("lab-benchmark-").FullName;
        try
        {
            await new CorpusBuilder().BuildAsync(new CorpusConfig { Source = new GeneratedSource(2 << 20) }, folder, _ => { }, ct);
            using TokenCorpus corpus = TokenCorpus.Open(folder);
            await using TensorWorker worker = new("train benchmark");
            foreach (int width in new[] { 128, 256 })
            {
                await worker.RunAsync(token => Measure(report, corpus, width, token), ct);
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static bool Measure(BenchmarkReport report, TokenCorpus corpus, int width, CancellationToken ct)
    {
        TransformerConfig dense = new()
        {
            NLayers = 2,
            DModel = width,
            DHead = 16,
            NHeads = width / 16,
            DMlp = 4 * width,
            DVocab = corpus.Tokenizer.VocabSize,
            NCtx = 64,
            BigramTable = true,
        };
        TrainingRecipe recipe = new() { Steps = 10_000, BatchSize = 32, AnnealEndFraction = 0 };
        using SparseTrainer denseTrainer = new(dense, recipe, corpus.Train, corpus.HeldOut, seed: 0);
        using SparseTrainer sparseTrainer = new(dense with { ActivationFraction = 0.25 }, recipe with { WeightFraction = 0.25, EmbeddingFraction = 0.25 }, corpus.Train, corpus.HeldOut, seed: 0);
        List<double> denseRates = [], sparseRates = [];
        for (int block = -1; block < Blocks; block++)
        {
            // The first block of each only warms up.
            double denseRate = TokensPerSecond(denseTrainer, ct), sparseRate = TokensPerSecond(sparseTrainer, ct);
            if (block < 0) continue;
            denseRates.Add(denseRate);
            sparseRates.Add(sparseRate);
        }

        double denseMedian = report.Median($"train.d{width}.dense", denseRates, "tokens/s");
        double sparseMedian = report.Median($"train.d{width}.sparse", sparseRates, "tokens/s");
        report.Ratio($"train.d{width}.sparse_to_dense", sparseMedian, denseMedian);
        return true;
    }

    private static double TokensPerSecond(SparseTrainer trainer, CancellationToken ct)
    {
        long start = Stopwatch.GetTimestamp();
        for (int step = 0; step < StepsPerBlock; step++)
        {
            ct.ThrowIfCancellationRequested();
            trainer.Step();
        }

        return StepsPerBlock * trainer.Recipe.BatchSize * trainer.Model.Config.NCtx / Stopwatch.GetElapsedTime(start).TotalSeconds;
    }
}
