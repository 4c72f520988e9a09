using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using Lab.EndToEnd.Tests.Support;
using Lab.Protos.ModelHost.V1;
using Lab.Protos.Run.V1;
using Lab.Protos.SparseTraining.V1;
using Lab.ServiceDefaults.Clients;
using Lab.Testing;

namespace Lab.EndToEnd.Tests;

/// <summary>Trainings in processes of the lab: killed in the middle, and served while they go on.</summary>
public sealed class TrainingTests(ServedLab served)
{
    private static readonly JsonFormatter Formatter = new(JsonFormatter.Settings.Default);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Train_ProcessKilledAtRandomSteps_GivesTheSameModelAndCheckpoint(int seed)
    {
        const int steps = 1200;
        using TemporaryFolder data = new();
        string url = FreePorts.Url(FreePorts.Take(1)[0]);
        await using Killable process = new(() => LabProcess.Start("Lab.SparseTraining", [], ("Lab__Data", data.Path), ("Lab__Url", url)));
        using GrpcChannel channel = GrpcChannel.ForAddress(url, new GrpcChannelOptions
        {
            HttpHandler = LabClients.CreateHandler(),
            DisposeHttpClient = true,
            InitialReconnectBackoff = TimeSpan.FromMilliseconds(100),
            MaxReconnectBackoff = TimeSpan.FromSeconds(1),
        });
        SparseTrainingService.SparseTrainingServiceClient client = new(channel);
        string corpus = await CorpusAsync(client);
        TrainingRun whole = await EndAsync(client, await CreateAsync(client, "whole", Config(corpus, steps)));
        whole.Status.State.ShouldBe(RunState.Succeeded, process.Transcript);

        Random random = new(seed);
        Queue<int> kills = new([random.Next(1, steps / 2), random.Next(steps / 2, steps * 3 / 4)]);
        string name = await CreateAsync(client, "killed", Config(corpus, steps));
        TrainingRun run = whole;
        await foreach (TrainingRun snapshot in WatchAsync(client, name))
        {
            run = snapshot;
            if (kills.Count == 0 || snapshot.Status.Progress?.Completed < kills.Peek() || snapshot.Status.State != RunState.Running) continue;
            _ = kills.Dequeue();
            await process.KillAndRestartAsync();
        }

        run.Status.State.ShouldBe(RunState.Succeeded, process.Transcript);
        run.Status.ResumeCount.ShouldBe(2, process.Transcript);
        run.Model.ShouldBe(whole.Model);
        Formatter.Format(run.Evaluation).ShouldBe(Formatter.Format(whole.Evaluation));
        (await CheckpointAsync("killed")).ShouldBe(await CheckpointAsync("whole"));

        Task<byte[]> CheckpointAsync(string id) =>
            File.ReadAllBytesAsync(Directory.EnumerateFiles(Path.Combine(data.Path, "runs", "trainingRuns", id), "checkpoint-*").Order(StringComparer.Ordinal).Last(), Ct);
    }

    [Fact]
    public async Task Train_PublishesCheckpoints_ModelHostServesThemWhileItGoesOn()
    {
        GrpcChannel channel = await served.ChannelAsync();
        SparseTrainingService.SparseTrainingServiceClient training = new(channel);
        ModelHostService.ModelHostServiceClient host = new(channel);
        const string latest = "models/live-latest";
        TrainingConfig config = Config(await CorpusAsync(training), steps: 1_000_000);
        config.Checkpoints = new CheckpointConfig { PublishInterval = 20, PublishName = latest };
        string name = await CreateAsync(training, "live", config);

        string first = await LoadNewAsync("");
        await GenerateAsync();
        string second = await LoadNewAsync(first);
        await GenerateAsync();
        (await training.GetTrainingRunAsync(new GetTrainingRunRequest { Name = name }, cancellationToken: Ct)).Status.State.ShouldBe(RunState.Running);

        await training.StopTrainingRunAsync(new StopTrainingRunRequest { Name = name }, cancellationToken: Ct);
        TrainingRun run = await EndAsync(training, name);
        run.Status.State.ShouldBe(RunState.Succeeded, run.Status.Error?.Message);
        run.End.ShouldBe(TrainingEnd.Stopped);
        (await LoadAsync()).Digest.ShouldBe(run.Model);
        run.Model.ShouldNotBe(second);

        // Waits for a publication after the last, and gives the digest that ModelHost has then.
        async Task<string> LoadNewAsync(string before)
        {
            await foreach (TrainingRun snapshot in WatchAsync(training, name))
            {
                if (snapshot.PublishedModel.Length == 0 || snapshot.PublishedModel == before) continue;
                string digest = (await LoadAsync()).Digest;
                digest.ShouldNotBe(before);
                return digest;
            }

            throw new InvalidOperationException($"{name} ended.\n{await served.TranscriptAsync()}");
        }

        async Task<Model> LoadAsync() => await host.LoadModelAsync(new LoadModelRequest { Name = latest }, cancellationToken: Ct);

        async Task GenerateAsync()
        {
            GenerateRequest request = new() { Model = latest, Prompt = new Input { Texts = new Texts { Texts_ = { "x = " } } }, MaxNewTokens = 3, IgnoreEos = true };
            using AsyncServerStreamingCall<GenerateResponse> call = host.Generate(request, cancellationToken: Ct);
            (await call.ResponseStream.ReadAllAsync(Ct).CountAsync(Ct)).ShouldBeGreaterThan(3);
        }
    }

    private static TrainingConfig Config(string corpus, long steps) => new()
    {
        Corpus = corpus,
        Model = new ModelConfig { NLayers = 1, DModel = 32, NCtx = 16 },
        Recipe = new RecipeConfig { Steps = steps, BatchSize = 4, WeightFraction = 0.3, EvaluationTokens = 64, CheckpointInterval = 20, EvaluationInterval = 50 },
    };

    private static async Task<string> CreateAsync(SparseTrainingService.SparseTrainingServiceClient client, string id, TrainingConfig config) =>
        (await client.CreateTrainingRunAsync(new CreateTrainingRunRequest { RunId = id, Config = config }, cancellationToken: Ct)).Name;

    private static async Task<string> CorpusAsync(SparseTrainingService.SparseTrainingServiceClient client)
    {
        CallOptions options = new CallOptions(cancellationToken: Ct).WithWaitForReady();
        CorpusRun run = await client.CreateCorpusRunAsync(
            new CreateCorpusRunRequest { RunId = "small", Config = new CorpusConfig { Generated = new GeneratedSource { Bytes = 40_000 }, VocabSize = 300 } }, options);
        await foreach (CorpusRun snapshot in LabResilience.WatchAsync(ct => client.WatchCorpusRun(new WatchCorpusRunRequest { Name = run.Name }, cancellationToken: ct), Ct))
            run = snapshot;
        run.Status.State.ShouldBe(RunState.Succeeded, run.Status.Error?.Message);
        return run.Corpus;
    }

    private static IAsyncEnumerable<TrainingRun> WatchAsync(SparseTrainingService.SparseTrainingServiceClient client, string name) =>
        LabResilience.WatchAsync(ct => client.WatchTrainingRun(new WatchTrainingRunRequest { Name = name }, cancellationToken: ct), Ct);

    private static async Task<TrainingRun> EndAsync(SparseTrainingService.SparseTrainingServiceClient client, string name) =>
        await WatchAsync(client, name).LastAsync(Ct);

    /// <summary>A process that comes back after kill -9.</summary>
    private sealed class Killable(Func<LabProcess> start) : IAsyncDisposable
    {
        private readonly List<LabProcess> _all = [start()];

        public string Transcript => string.Concat(_all.Select(process => process.Transcript));

        public async Task KillAndRestartAsync()
        {
            await _all[^1].KillAsync();
            _all.Add(start());
        }

        public async ValueTask DisposeAsync()
        {
            foreach (LabProcess process in _all) await process.DisposeAsync();
        }
    }
}
