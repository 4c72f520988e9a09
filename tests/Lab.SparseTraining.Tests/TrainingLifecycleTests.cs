using Google.Protobuf.WellKnownTypes;
using Google.Rpc;
using Grpc.Core;
using Lab.Artifacts;
using Lab.Protos.Run.V1;
using Lab.Protos.SparseTraining.V1;
using Lab.Testing;

namespace Lab.SparseTraining.Tests;

/// <summary>Stop, extend and fork, as a client sees them.</summary>
public sealed class TrainingLifecycleTests : IAsyncLifetime
{
    private readonly TemporaryFolder _data = new();
    private PartHost _host = null!;
    private SparseTrainingService.SparseTrainingServiceClient _client = null!;
    private string _corpus = "";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _host = await PartHost.StartAsync(_data["lab"], builder => builder.AddSparseTraining(), app => app.MapSparseTraining());
        _client = new SparseTrainingService.SparseTrainingServiceClient(_host.Channel);
        _corpus = await CorpusAsync("c", seed: 0);
    }

    public async ValueTask DisposeAsync()
    {
        await _host.DisposeAsync();
        _data.Dispose();
    }

    [Fact]
    public async Task StopTrainingRun_WhileItTrains_SucceedsWithTheModelAndCanBeExtended()
    {
        TrainingRun run = await CreateAsync("long", config => config.Recipe.Steps = 1_000_000);
        await foreach (TrainingRun snapshot in Watch(run.Name))
        {
            if (snapshot.Status.Progress?.Completed >= 3) break;
        }

        (await _client.StopTrainingRunAsync(new StopTrainingRunRequest { Name = run.Name }, cancellationToken: Ct)).StopRequested.ShouldBeTrue();
        run = await EndAsync(run.Name);
        run.Status.State.ShouldBe(RunState.Succeeded, run.Status.Error?.Message);
        run.End.ShouldBe(TrainingEnd.Stopped);
        run.Model.ShouldStartWith("sha256:");
        long stopped = run.Checkpoints[^1].Step;
        stopped.ShouldBeInRange(3, 999_999);
        run.Status.Metrics["held_out_loss"].ShouldBe(run.Evaluation.HeldOutLoss);

        TrainingRun extended = await _client.ExtendTrainingRunAsync(
            new ExtendTrainingRunRequest { Name = run.Name, Steps = stopped + 5, Schedule = ExtensionSchedule.Recompute }, cancellationToken: Ct);
        extended.Status.State.ShouldBe(RunState.Queued);
        extended.Model.ShouldBeEmpty();
        extended = await EndAsync(run.Name);
        extended.End.ShouldBe(TrainingEnd.StepsTaken);
        extended.Status.Metrics["step"].ShouldBe(stopped + 5);
        extended.Extensions.Single().FromStep.ShouldBe(stopped);
        extended.Model.ShouldNotBe(run.Model);
    }

    [Fact]
    public async Task StopTrainingRun_NotStarted_SaysSoAndEndedDoesNothing()
    {
        TrainingRun working = await CreateAsync("working", config => config.Recipe.Steps = 1_000_000);
        await foreach (TrainingRun snapshot in Watch(working.Name))
        {
            if (snapshot.Status.State == RunState.Running) break;
        }

        TrainingRun waiting = await CreateAsync("waiting");
        (await ErrorAsync(_client.StopTrainingRunAsync(new StopTrainingRunRequest { Name = waiting.Name }, cancellationToken: Ct).ResponseAsync))
            .StatusCode.ShouldBe(StatusCode.FailedPrecondition);
        (await ErrorAsync(_client.ExtendTrainingRunAsync(new ExtendTrainingRunRequest { Name = working.Name, Steps = 2_000_000 }, cancellationToken: Ct).ResponseAsync))
            .StatusCode.ShouldBe(StatusCode.FailedPrecondition);
        await _client.CancelTrainingRunAsync(new CancelTrainingRunRequest { Name = working.Name }, cancellationToken: Ct);

        TrainingRun ended = await EndAsync(waiting.Name);
        (await _client.StopTrainingRunAsync(new StopTrainingRunRequest { Name = ended.Name }, cancellationToken: Ct)).ShouldBe(ended);
    }

    [Fact]
    public async Task ExtendTrainingRun_RightAfterCancel_CountsTheCheckpointThatTheCancelledRunStores()
    {
        TrainingRun run = await CreateAsync("cut", config => config.Recipe.Steps = config.Recipe.CheckpointInterval = 1_000_000);
        await foreach (TrainingRun snapshot in Watch(run.Name))
        {
            if (snapshot.Status.Progress?.Completed >= 3) break;
        }

        await _client.CancelTrainingRunAsync(new CancelTrainingRunRequest { Name = run.Name }, cancellationToken: Ct);
        TrainingRun extended = await _client.ExtendTrainingRunAsync(
            new ExtendTrainingRunRequest { Name = run.Name, Steps = 2_000_000, Schedule = ExtensionSchedule.Recompute }, cancellationToken: Ct);
        extended.Extensions.Single().FromStep.ShouldBeGreaterThanOrEqualTo(3);
        await _client.CancelTrainingRunAsync(new CancelTrainingRunRequest { Name = run.Name }, cancellationToken: Ct);
        (await EndAsync(run.Name)).Status.State.ShouldBe(RunState.Cancelled);
    }

    [Fact]
    public async Task CreateTrainingRun_CorpusByName_KeepsTheOneThatTheNameMeant()
    {
        ArtifactStore store = new(_data["lab", "artifacts"]);
        await store.SetNameAsync("corpora/c", _corpus, Ct);
        TrainingRun run = await CreateAsync("named", config => config.Corpus = "corpora/c");
        run.Config.Corpus.ShouldBe(_corpus);
        (await CreateAsync("named", config => config.Corpus = "corpora/c")).Name.ShouldBe(run.Name);

        await store.SetNameAsync("corpora/c", await CorpusAsync("other", seed: 5), Ct);
        (await ErrorAsync(CreateAsync("named", config => config.Corpus = "corpora/c"))).StatusCode.ShouldBe(StatusCode.Aborted);
        (await EndAsync(run.Name)).Config.Corpus.ShouldBe(_corpus);
    }

    [Fact]
    public async Task CreateTrainingRun_ForkWithTheSameRecipe_GivesTheSameModelFromTheCheckpointOn()
    {
        TrainingRun source = await TrainAsync("source");
        source.Checkpoints.Select(checkpoint => checkpoint.Step).ShouldBe([10, 15, 20]);

        TrainingRun fork = await TrainAsync("fork", config =>
        {
            config.Model = null;
            config.Fork = new ForkConfig { TrainingRun = source.Name, Step = 10 };
        });
        TrainingRun other = await TrainAsync("other", config =>
        {
            config.Fork = new ForkConfig { TrainingRun = source.Name, Step = 10 };
            config.Recipe.WeightDecay = 0.5;
        });

        fork.Evaluation.ShouldBe(source.Evaluation);
        fork.Curve.ShouldBe(source.Curve);
        other.Curve.Take(10).ShouldBe(source.Curve.Take(10));
        other.Evaluation.HeldOutLoss.ShouldNotBe(source.Evaluation.HeldOutLoss);
        // Asked for again, it is the run that is there.
        (await CreateAsync("other", config =>
        {
            config.Fork = new ForkConfig { TrainingRun = source.Name, Step = 10 };
            config.Recipe.WeightDecay = 0.5;
        })).ShouldBe(other);
    }

    [Fact]
    public async Task CreateTrainingRun_ForkThatCannotBe_NamesTheFieldAndCreatesNothing()
    {
        TrainingRun source = await TrainAsync("source");
        string strange = await CorpusAsync("strange", seed: 5);

        await Refused("config.fork.training_run", config => config.Fork.TrainingRun = "trainingRuns/none");
        await Refused("config.fork.training_run", config => config.Fork.TrainingRun = "");
        await Refused("config.fork.step", config => config.Fork.Step = 11);
        await Refused("config.fork.step", config => config.Fork.Step = -1);
        await Refused("config.recipe.steps", config => config.Fork.Step = 0);
        await Refused("config.model", config => config.Model.DMlp = 96);
        await Refused("config.corpus", config => config.Corpus = strange);
        (await _client.ListTrainingRunsAsync(new ListTrainingRunsRequest(), cancellationToken: Ct)).TrainingRuns.Count.ShouldBe(1);

        async Task Refused(string field, Action<TrainingConfig> change)
        {
            RpcException error = await ErrorAsync(CreateAsync("refused", config =>
            {
                config.Fork = new ForkConfig { TrainingRun = source.Name, Step = 10 };
                change(config);
            }));
            error.StatusCode.ShouldBe(StatusCode.InvalidArgument);
            error.GetRpcStatus()!.GetDetail<BadRequest>()!.FieldViolations.Single().Field.ShouldBe(field);
        }
    }

    [Fact]
    public async Task CreateTrainingRun_WrongCheckpointFields_NamesEachOfThem()
    {
        RpcException error = await ErrorAsync(CreateAsync("wrong", config =>
        {
            config.OutputName = "two words";
            config.Recipe.TargetHeldOutLoss = double.NaN;
            config.Checkpoints = new CheckpointConfig { TimeInterval = new Duration { Nanos = 1_000_000_000 }, Kept = 1001, PublishInterval = -1, PublishName = "/" };
        }));
        error.GetRpcStatus()!.GetDetail<BadRequest>()!.FieldViolations.Select(violation => violation.Field).ShouldBe(
            ["config.recipe.target_held_out_loss", "config.output_name", "config.checkpoints.time_interval", "config.checkpoints.kept", "config.checkpoints.publish_interval", "config.checkpoints.publish_name"],
            ignoreOrder: true);
    }

    private static Task<RpcException> ErrorAsync(Task call) => Should.ThrowAsync<RpcException>(() => call);

    private async Task<string> CorpusAsync(string id, long seed)
    {
        CorpusRun run = await _client.CreateCorpusRunAsync(
            new CreateCorpusRunRequest { RunId = id, Config = new CorpusConfig { Generated = new GeneratedSource { Bytes = 40_000 }, VocabSize = 300, Seed = seed } }, cancellationToken: Ct);
        using AsyncServerStreamingCall<CorpusRun> watch = _client.WatchCorpusRun(new WatchCorpusRunRequest { Name = run.Name }, cancellationToken: Ct);
        await foreach (CorpusRun snapshot in watch.ResponseStream.ReadAllAsync(Ct)) run = snapshot;
        run.Status.State.ShouldBe(RunState.Succeeded, run.Status.Error?.Message);
        return run.Corpus;
    }

    private async Task<TrainingRun> CreateAsync(string id, Action<TrainingConfig>? change = null)
    {
        TrainingConfig config = new()
        {
            Corpus = _corpus,
            Model = new ModelConfig { NLayers = 1, DModel = 32, NCtx = 16 },
            Recipe = new RecipeConfig { Steps = 20, BatchSize = 4, WeightFraction = 0.3, EvaluationTokens = 64, CheckpointInterval = 5, EvaluationInterval = 10 },
            Checkpoints = new CheckpointConfig { Kept = 3 },
        };
        change?.Invoke(config);
        return await _client.CreateTrainingRunAsync(new CreateTrainingRunRequest { RunId = id, Config = config }, cancellationToken: Ct);
    }

    private async Task<TrainingRun> TrainAsync(string id, Action<TrainingConfig>? change = null)
    {
        TrainingRun run = await EndAsync((await CreateAsync(id, change)).Name);
        run.Status.State.ShouldBe(RunState.Succeeded, run.Status.Error?.Message);
        return run;
    }

    private async Task<TrainingRun> EndAsync(string name)
    {
        TrainingRun? last = null;
        await foreach (TrainingRun snapshot in Watch(name)) last = snapshot;
        return last!;
    }

    private async IAsyncEnumerable<TrainingRun> Watch(string name)
    {
        using AsyncServerStreamingCall<TrainingRun> watch = _client.WatchTrainingRun(new WatchTrainingRunRequest { Name = name }, cancellationToken: Ct);
        await foreach (TrainingRun snapshot in watch.ResponseStream.ReadAllAsync(Ct)) yield return snapshot;
    }
}
