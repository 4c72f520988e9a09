using System.Diagnostics;
using System.Globalization;
using Lab.Models;
using Lab.Models.Corpora;
using Lab.Models.Folders;
using Lab.SparseTraining.Corpora;
using Lab.SparseTraining.Training;
using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.Benchmarks.Training;

/// <summary>
/// Training tokens per second: our sparse step, our dense step, and both as <see cref="PlainRecipe"/> has them, in turn. AbsTopK 1/4
/// at all sites, d_head 16, 8 x 256 tokens, vocabulary 2048, annealed from the start.
/// </summary>
internal sealed class TrainBenchmark : IBenchmark
{
    /// <summary>What makes this program the child that trains.</summary>
    public const string ChildArgument = "train-child";

    private const int Rows = 8;
    private const int Length = 256;
    private const int Repetitions = 7;

    private static readonly TrainingRecipe Recipe = new() { Steps = 100_000, BatchSize = Rows, AnnealEndFraction = 0, WarmupFraction = 0, LearningRate = 1e-3 };

    public string Name => "train";

    public async Task RunAsync(BenchmarkReport report, CancellationToken ct)
    {
        TorchRuntime.Configure(0);
        string folder = Directory.CreateTempSubdirectory("lab-benchmark-").FullName;
        try
        {
            await new CorpusBuilder().BuildAsync(new CorpusConfig { Source = new GeneratedSource(8 << 20), VocabSize = 2048 }, folder, _ => { }, ct);
            using TokenCorpus corpus = TokenCorpus.Open(folder);
            await MeasureMemoryAsync(report, folder, ct);
            await using TensorWorker worker = new("train benchmark");
            await worker.RunAsync(token => Measure(report, corpus, Shape(256, 8), 0.25, 0.25, token), ct);
            await worker.RunAsync(token => Measure(report, corpus, Shape(1024, 2), 1.0 / 64, 1.0 / 16, token), ct);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>
    /// The child: takes a few sparse steps, with two checkpoints between them, an evaluation and the model's files at the end, and prints the most memory it
    /// took in the steps and altogether, what the recipe needs at least, and its activations, all in MB; and the seconds that the training waited for a
    /// checkpoint.
    /// </summary>
    public static void RunChild(string folder)
    {
        TorchRuntime.Configure(0);
        using TokenCorpus corpus = TokenCorpus.Open(folder);
        _ = nn.functional.linear(ones(64, 64), ones(64, 64));
        GC.Collect();
        double before = ChildProcess.StatusOf("VmRSS");
        TransformerConfig config = Shape(1024, 2) with { ActivationFraction = 0.25 };
        TrainingRecipe recipe = Recipe with { WeightFraction = 1.0 / 64, EmbeddingFraction = 1.0 / 16 };
        using SparseTrainer trainer = new(config, recipe, corpus.Train, corpus.HeldOut, seed: 0);
        for (int step = 0; step < 4; step++) trainer.Step();
        double inSteps = ChildProcess.StatusOf("VmHWM") - before, pause = 0;
        using BackgroundSave saves = new();
        for (int step = 0; step < 6; step++)
        {
            if (step % 3 == 0)
            {
                long start = Stopwatch.GetTimestamp();
                PendingFile checkpoint = TrainingCheckpoint.Begin(Path.Combine(folder, $"checkpoint-{step}"), trainer, new TrainingCurve(recipe.Steps));
                pause = Stopwatch.GetElapsedTime(start).TotalSeconds;
                saves.Begin(() =>
                {
                    using (checkpoint) checkpoint.Commit();
                });
            }

            trainer.Step();
        }

        saves.Wait();
        trainer.Evaluate(CancellationToken.None);
        TransformerCheckpoint.Save(trainer.Model, folder);
        CircuitSparsityFolder.Save(trainer.Model, folder);
        double parameters = trainer.Model.Weights.All.Sum(parameter => parameter.Value.numel()) * 4 * sizeof(float) / 1e6;
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{inSteps} {ChildProcess.StatusOf("VmHWM") - before} {parameters} {trainer.ActivationBytes / 1e6} {pause}"));
    }

    private static async Task MeasureMemoryAsync(BenchmarkReport report, string folder, CancellationToken ct)
    {
        double[] numbers = await ChildProcess.RunAsync([ChildArgument, folder], ct);
        (double inSteps, double most, double least, double activations, double pause) = (numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]);
        report.Note($"train.memory: d_model 1024, 2 layers: {inSteps:F0} MB at most above the start in the steps, {most:F0} MB with checkpoints, an evaluation and the model's files; {least:F0} MB of weights, gradients and two moments, {activations:F0} MB of activations. A checkpoint holds the training up for {pause:F2} s.");
        report.Ratio("train.memory_less_activations", most - activations, least);
    }

    private static TransformerConfig Shape(int width, int layers) => new()
    {
        NLayers = layers,
        DModel = width,
        DHead = 16,
        NHeads = width / 16,
        DMlp = 4 * width,
        DVocab = 2048,
        NCtx = Length,
        BigramTable = true,
    };

    private static bool Measure(BenchmarkReport report, TokenCorpus corpus, TransformerConfig dense, double density, double embeddingDensity, CancellationToken ct)
    {
        TransformerConfig sparse = dense with { ActivationFraction = 0.25 };
        TrainingRecipe recipe = Recipe;
        BatchSampler sampler = new(corpus.Train, Rows, Length, seed: 0);
        using SparseTrainer denseTrainer = new(dense, recipe, corpus.Train, corpus.HeldOut, seed: 0);
        using SparseTrainer sparseTrainer = new(sparse, recipe with { WeightFraction = density, EmbeddingFraction = embeddingDensity }, corpus.Train, corpus.HeldOut, seed: 0);
        using PlainRecipe plainDense = new(dense, 1, 1), plainSparse = new(sparse, density, embeddingDensity);
        List<double> denseRates = [], sparseRates = [], plainDenseRates = [], plainSparseRates = [], projections = [];
        for (int repetition = -2; repetition < Repetitions; repetition++)
        {
            ct.ThrowIfCancellationRequested();
            using Tensor tokens = sampler.Batch(Math.Max(0, repetition));
            double projection = 0;
            (double sparseRate, double denseRate) = (Rate(() => sparseTrainer.Step()), Rate(() => denseTrainer.Step()));
            (double plainSparseRate, double plainDenseRate) = (Rate(() => projection = plainSparse.Step(tokens)), Rate(() => plainDense.Step(tokens)));
            if (repetition < 0) continue;
            sparseRates.Add(sparseRate);
            denseRates.Add(denseRate);
            plainSparseRates.Add(plainSparseRate);
            plainDenseRates.Add(plainDenseRate);
            projections.Add(projection);
        }

        string name = $"train.d{dense.DModel}";
        double own = report.Median($"{name}.sparse", sparseRates, "tokens/s");
        double ownDense = report.Median($"{name}.dense", denseRates, "tokens/s");
        double plain = report.Median($"{name}.plain_sparse", plainSparseRates, "tokens/s, plainly with libtorch's operations");
        double plainDenseRate2 = report.Median($"{name}.plain_dense", plainDenseRates, "tokens/s, plainly, without sparsity");
        _ = report.Median($"{name}.plain_projection", projections, "ms of a plain step in its projection");
        report.Ratio($"{name}.sparse_to_plain_sparse", own, plain);
        report.Ratio($"{name}.sparse_time_to_dense", ownDense, own);
        report.Ratio($"{name}.sparse_time_to_plain_dense", plainDenseRate2, own);
        return true;
    }

    private static double Rate(Action step)
    {
        long start = Stopwatch.GetTimestamp();
        step();
        return Rows * Length / Stopwatch.GetElapsedTime(start).TotalSeconds;
    }
}
