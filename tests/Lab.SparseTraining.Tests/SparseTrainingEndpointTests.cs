using Google.Rpc;
using Grpc.Core;
using Lab.Artifacts;
using Lab.Models;
using Lab.Models.Checkpoints;
using Lab.Models.Folders;
using Lab.Protos.Run.V1;
using Lab.Protos.SparseTraining.V1;
using Lab.ServiceDefaults.Runs;
using Lab.SparseTraining.Training;
using Lab.Testing;
using TorchSharp;

namespace Lab.SparseTraining.Tests;

public sealed class SparseTrainingEndpointTests : IAsyncLifetime
{
    private readonly TemporaryFolder _data = new();
    private PartHost _host = null!;
    private SparseTrainingService.SparseTrainingServiceClient _client = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => await StartAsync();

    public async ValueTask DisposeAsync()
    {
        await _host.DisposeAsync();
        _data.Dispose();
    }

    [Fact]
    public async Task Train_FolderWithBinaryAndBrokenFiles_SkipsThemAndGivesAModel()
    {
        string corpus = await PrepareCorpusAsync();
        TrainingRun run = await TrainAsync("t1", corpus);
        run.Model.ShouldStartWith("sha256:");
        run.Status.Metrics["held_out_loss"].ShouldBeGreaterThan(0);
        run.Status.Metrics["l0_fraction"].ShouldBe(0.3, 0.01);
        run.Curve[^1].Step.ShouldBe(30);
    }

    [Fact]
    public async Task Train_AnyRun_StoresTheModelInBothFormats()
    {
        TrainingRun run = await TrainAsync("t1", await PrepareCorpusAsync());

        ArtifactStore store = new(_data["lab", "artifacts"]);
        StoredArtifact artifact = await store.GetAsync(run.Model, Ct);
        using ICheckpoint own = Checkpoint.OpenSafetensors(store.GetPath(artifact, TransformerCheckpoint.WeightsFile)), theirs = Checkpoint.OpenPickle(store.GetPath(artifact, CircuitSparsityFolder.WeightsFile));
        using Transformer expected = TransformerLoader.Load(TransformerCheckpoint.ReadConfig(store.GetPath(artifact, TransformerCheckpoint.ConfigFile)), own, ct: Ct);
        using Transformer actual = TransformerLoader.Load(ModelFolder.ReadCircuitSparsityConfig(store.GetPath(artifact, CircuitSparsityFolder.ConfigFile), theirs), theirs, ct: Ct);
        using var scope = torch.NewDisposeScope();
        torch.Tensor tokens = torch.arange(8).view(1, 8);
        actual.Forward(tokens).HasSameElements(expected.Forward(tokens)).ShouldBeTrue();
    }

    [Fact]
    public async Task Train_ServiceRestartedInTheMiddle_GivesTheSameModel()
    {
        string corpus = await PrepareCorpusAsync();
        TrainingRun uninterrupted = await TrainAsync("whole", corpus, steps: 60);

        await _client.CreateTrainingRunAsync(Request("cut", corpus, steps: 60), cancellationToken: Ct);
        using (AsyncServerStreamingCall<TrainingRun> watch = _client.WatchTrainingRun(new WatchTrainingRunRequest { Name = "trainingRuns/cut" }, cancellationToken: Ct))
        {
            await foreach (TrainingRun snapshot in watch.ResponseStream.ReadAllAsync(Ct))
            {
                if (snapshot.Status.Progress?.Completed >= 15) break;
            }
        }

        await _host.DisposeAsync();
        await StartAsync();
        TrainingRun resumed = await WatchToEndAsync("trainingRuns/cut");
        resumed.Status.State.ShouldBe(RunState.Succeeded);
        resumed.Model.ShouldBe(uninterrupted.Model);
        resumed.Curve.ShouldBe(uninterrupted.Curve);
    }

    [Fact]
    public async Task Train_KilledBeforeItsCheckpoint_GivesTheSameCurve()
    {
        string corpus = await PrepareCorpusAsync();
        TrainingRun uninterrupted = await TrainAsync("whole", corpus, steps: 60);
        using CancellationTokenSource kill = new();
        TrainingRun run = NewRun(corpus);
        await Should.ThrowAsync<OperationCanceledException>(() => ExecuteAsync(run, kill.Token, onStep: step =>
        {
            if (step == 18) kill.Cancel();
        }));
        // As a kill would leave it: the record of the run knows of steps that no checkpoint has.
        run.Curve.Count.ShouldBe(18);
        foreach (long step in CheckpointFolder.StepsIn(WorkFolder)) File.Delete(CheckpointFolder.PathOf(WorkFolder, step));

        await ExecuteAsync(run, Ct);

        run.Model.ShouldBe(uninterrupted.Model);
        run.Curve.ShouldBe(uninterrupted.Curve);
    }

    [Fact]
    public async Task Train_KilledWhileTheModelWasStored_TakesNoFurtherStepAndKeepsItsMetrics()
    {
        string corpus = await PrepareCorpusAsync();
        TrainingRun run = NewRun(corpus);
        // Any loss will do: the training ends with the first evaluation of the annealed model.
        run.Config.Recipe.TargetHeldOutLoss = 100;
        TrainingRun stored = (await ExecuteAsync(run, Ct))!;
        List<long> steps = [];

        await ExecuteAsync(stored, Ct, steps.Add);

        steps.ShouldBeEmpty();
        stored.Model.ShouldBe(run.Model);
        stored.Status.Metrics["step"].ShouldBe(30);
        stored.Status.Metrics["held_out_loss"].ShouldBe(run.Status.Metrics["held_out_loss"]);
    }

    [Fact]
    public async Task Train_Cancelled_GoesOnWithTheNextStep()
    {
        string corpus = await PrepareCorpusAsync();
        using CancellationTokenSource cancel = new();
        TrainingRun run = NewRun(corpus);
        await Should.ThrowAsync<OperationCanceledException>(() => ExecuteAsync(run, cancel.Token, onStep: step =>
        {
            if (step == 18) cancel.Cancel();
        }));

        List<long> steps = [];
        await ExecuteAsync(run, Ct, steps.Add);

        steps.ShouldBe(Enumerable.Range(19, 42).Select(step => (long)step));
    }

    [Fact]
    public async Task CreateTrainingRun_WrongFields_NamesEachOfThem()
    {
        CreateTrainingRunRequest request = new()
        {
            Config = new TrainingConfig
            {
                Corpus = "corpora/x",
                Model = new ModelConfig { DModel = 100, DHead = 16, ActivationFraction = 1.5 },
                Recipe = new RecipeConfig { WeightFraction = -1, Steps = -2 },
            },
        };
        RpcException error = await Should.ThrowAsync<RpcException>(() => _client.CreateTrainingRunAsync(request, cancellationToken: Ct).ResponseAsync);
        error.StatusCode.ShouldBe(StatusCode.InvalidArgument);
        error.GetRpcStatus()!.GetDetail<BadRequest>()!.FieldViolations.Select(violation => violation.Field).ShouldBe(
            ["config.model.d_head", "config.model.activation_fraction", "config.recipe.steps", "config.recipe.weight_fraction"], ignoreOrder: true);
    }

    [Theory]
    [InlineData("corpora/none")]
    [InlineData("two words")]
    public async Task CreateTrainingRun_UnknownCorpus_NamesTheField(string corpus)
    {
        CreateTrainingRunRequest request = new() { Config = new TrainingConfig { Corpus = corpus } };
        RpcException error = await Should.ThrowAsync<RpcException>(() => _client.CreateTrainingRunAsync(request, cancellationToken: Ct).ResponseAsync);
        error.StatusCode.ShouldBe(StatusCode.InvalidArgument);
        error.GetRpcStatus()!.GetDetail<BadRequest>()!.FieldViolations.Single().Field.ShouldBe("config.corpus");
    }

    [Fact]
    public async Task CreateCorpusRun_NothingReadable_FailsNamingTheFolder()
    {
        Directory.CreateDirectory(_data["empty"]);
        File.WriteAllBytes(_data["empty", "a.py"], [0, 1, 2, 0xFF]);
        CorpusRun run = await _client.CreateCorpusRunAsync(
            new CreateCorpusRunRequest { Config = new CorpusConfig { Folder = new FolderSource { Path = _data["empty"] } } }, cancellationToken: Ct);
        using AsyncServerStreamingCall<CorpusRun> watch = _client.WatchCorpusRun(new WatchCorpusRunRequest { Name = run.Name }, cancellationToken: Ct);
        await foreach (CorpusRun snapshot in watch.ResponseStream.ReadAllAsync(Ct)) run = snapshot;
        run.Status.State.ShouldBe(RunState.Failed);
        run.Status.Error.GetDetail<BadRequest>()!.FieldViolations.Single().Field.ShouldBe("config.folder.path");
    }

    private string WorkFolder => Directory.CreateDirectory(_data["work"]).FullName;

    private static TrainingRun NewRun(string corpus) => new() { Name = "trainingRuns/x", Config = Request("x", corpus, steps: 60).Config, Status = new RunStatus() };

    /// <summary>Trains as a service does.</summary>
    /// <param name="run">Takes all changes.</param>
    /// <param name="ct">Cancels the execution.</param>
    /// <param name="onStep">Told of each step.</param>
    /// <returns>What was sure to be on disk when the training had ended and its model was not stored yet.</returns>
    private async Task<TrainingRun?> ExecuteAsync(TrainingRun run, CancellationToken ct, Action<long>? onStep = null)
    {
        RunContext<TrainingRun> context = new(run.Clone(), WorkFolder, isResumed: run.Curve.Count > 0, Update, TimeProvider.System);
        TrainingRun? stored = null;
        await new TrainingExecutor(new ArtifactStore(_data["lab", "artifacts"]), new MatmulPeak(TimeProvider.System), TimeProvider.System).ExecuteAsync(context, ct);
        return stored;

        // Checkpoints are told of by a thread of their own.
        void Update(Action<TrainingRun> change, bool persist)
        {
            lock (run)
            {
                long? before = run.Status.Progress?.Completed;
                change(run);
                if (persist && run.Model.Length == 0) stored = run.Clone();
                if (run.Status.Progress?.Completed is { } step && step != before) onStep?.Invoke(step);
            }
        }
    }

    private async Task StartAsync()
    {
        _host = await PartHost.StartAsync(_data["lab"], builder => builder.AddSparseTraining(), app => app.MapSparseTraining());
        _client = new SparseTrainingService.SparseTrainingServiceClient(_host.Channel);
    }

    private async Task<string> PrepareCorpusAsync()
    {
        Directory.CreateDirectory(_data["src"]);
        for (int i = 0; i < 30; i++)
        {
            File.WriteAllText(_data["src", $"m{i}.py"], string.Concat(Enumerable.Range(0, 40).Select(j => $"def f{i}_{j}(x):\n    return x + {i * j}\n")));
        }

        File.WriteAllBytes(_data["src", "binary.py"], [1, 0, 2, 0, 3]);
        File.WriteAllBytes(_data["src", "latin1.py"], [0x61, 0xE9, 0x62]);
        CorpusRun run = await _client.CreateCorpusRunAsync(
            new CreateCorpusRunRequest { RunId = "c", Config = new CorpusConfig { Folder = new FolderSource { Path = _data["src"] }, VocabSize = 300 } }, cancellationToken: Ct);
        using AsyncServerStreamingCall<CorpusRun> watch = _client.WatchCorpusRun(new WatchCorpusRunRequest { Name = run.Name }, cancellationToken: Ct);
        await foreach (CorpusRun snapshot in watch.ResponseStream.ReadAllAsync(Ct)) run = snapshot;
        run.Status.State.ShouldBe(RunState.Succeeded, run.Status.Error?.Message);
        run.Status.Metrics["files_skipped"].ShouldBe(2);
        return run.Corpus;
    }

    private static CreateTrainingRunRequest Request(string id, string corpus, long steps) => new()
    {
        RunId = id,
        Config = new TrainingConfig
        {
            Corpus = corpus,
            Model = new ModelConfig { NLayers = 1, DModel = 32, NCtx = 16 },
            Recipe = new RecipeConfig { Steps = steps, BatchSize = 4, WeightFraction = 0.3, EvaluationTokens = 64, CheckpointInterval = 5, EvaluationInterval = 10 },
        },
    };

    private async Task<TrainingRun> TrainAsync(string id, string corpus, long steps = 30)
    {
        TrainingRun run = await _client.CreateTrainingRunAsync(Request(id, corpus, steps), cancellationToken: Ct);
        run = await WatchToEndAsync(run.Name);
        run.Status.State.ShouldBe(RunState.Succeeded, run.Status.Error?.Message);
        return run;
    }

    private async Task<TrainingRun> WatchToEndAsync(string name)
    {
        TrainingRun? last = null;
        using AsyncServerStreamingCall<TrainingRun> watch = _client.WatchTrainingRun(new WatchTrainingRunRequest { Name = name }, cancellationToken: Ct);
        await foreach (TrainingRun snapshot in watch.ResponseStream.ReadAllAsync(Ct)) last = snapshot;
        return last!;
    }
}
