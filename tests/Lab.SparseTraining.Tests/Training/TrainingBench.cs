using Lab.Artifacts;
using Lab.Models.Corpora;
using Lab.Models.Tokenizers;
using Lab.Protos.SparseTraining.V1;
using Lab.ServiceDefaults.Runs;
using Lab.SparseTraining.Training;
using Lab.Testing;
using RunStatus = Lab.Protos.Run.V1.RunStatus;

namespace Lab.SparseTraining.Tests.Training;

/// <summary>A store with a corpus, and runs on it that go as a test says.</summary>
internal sealed class TrainingBench : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly MatmulPeak _peak = new(TimeProvider.System);

    private TrainingBench() => Store = new ArtifactStore(_folder["artifacts"]);

    public ArtifactStore Store { get; }

    public string Corpus { get; private set; } = "";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public static async Task<TrainingBench> CreateAsync()
    {
        TrainingBench bench = new();
        string text = string.Concat(Enumerable.Range(0, 400).Select(i => $"def f{i % 7}(x):\n    return x + {i % 13}\n"));
        LabTokenizer tokenizer = BpeTrainer.Train([text], 280, Ct);
        ArtifactProvenance provenance = new("test", new Dictionary<string, string>(), [], 0);
        StoredArtifact corpus = await bench.Store.PutAsync("corpus", provenance, (folder, _) => WriteAsync(folder, text, tokenizer), Ct);
        bench.Corpus = corpus.Digest;
        return bench;
    }

    /// <summary>A run of 30 steps, which nothing has been done on.</summary>
    public TrainingRun NewRun(Action<TrainingConfig>? change = null)
    {
        TrainingConfig config = new()
        {
            Corpus = Corpus,
            Model = new ModelConfig { NLayers = 1, DModel = 32, NCtx = 16 },
            Recipe = new RecipeConfig { Steps = 30, BatchSize = 4, WeightFraction = 0.3, EvaluationTokens = 64, CheckpointInterval = 5, EvaluationInterval = 10 },
        };
        change?.Invoke(config);
        return new TrainingRun { Name = "trainingRuns/x", Config = config, Status = new RunStatus() };
    }

    public string WorkFolder(string id) => Directory.CreateDirectory(_folder["runs", id]).FullName;

    /// <summary>The bytes of a checkpoint.</summary>
    public byte[] Checkpoint(string id, long step) => File.ReadAllBytes(CheckpointFolder.PathOf(WorkFolder(id), step));

    /// <summary>Works on a run as a service does.</summary>
    /// <param name="id">Names its folder.</param>
    /// <param name="run">Takes all changes.</param>
    /// <param name="onStep">Told of each step; what it throws is what the process dies of, leaving what is on disk.</param>
    /// <param name="create">Creates the files of checkpoints.</param>
    public async Task ExecuteAsync(string id, TrainingRun run, Action<long>? onStep = null, Func<string, Stream>? create = null)
    {
        RunContext<TrainingRun> context = new(run.Clone(), WorkFolder(id), isResumed: run.Curve.Count > 0, Update, TimeProvider.System);
        await new TrainingExecutor(Store, _peak, TimeProvider.System, create).ExecuteAsync(context, Ct);

        // Checkpoints are told of by a thread of their own.
        void Update(Action<TrainingRun> change, bool persist)
        {
            lock (run)
            {
                long? before = run.Status.Progress?.Completed;
                change(run);
                if (run.Status.Progress?.Completed is { } step && step != before) onStep?.Invoke(step);
            }
        }
    }

    /// <summary>Works on a run to its end and gives it back.</summary>
    public async Task<TrainingRun> ExecuteAsync(string id, Action<TrainingConfig>? change = null)
    {
        TrainingRun run = NewRun(change);
        await ExecuteAsync(id, run);
        return run;
    }

    public void Dispose() => _folder.Dispose();

    private static Task WriteAsync(string folder, string text, LabTokenizer tokenizer)
    {
        using TokenCorpusWriter writer = new(folder, tokenizer);
        writer.Append(text, isHeldOut: false);
        writer.Append(text.AsSpan(0, 1500), isHeldOut: true);
        writer.Complete(info => info with { Source = "test", Files = 2, Bytes = text.Length });
        return Task.CompletedTask;
    }
}
