using System.Text.Json.Nodes;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Lab.Artifacts;
using Lab.Protos.SparseTraining.V1;
using Lab.ServiceDefaults;
using Lab.SparseTraining.Training;
using Lab.Tensors;
using Lab.Testing;

namespace Lab.SparseTraining.Tests.Training;

public sealed class TrainingRunTests : IAsyncLifetime
{
    private TrainingBench _bench = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _bench = await TrainingBench.CreateAsync();

    public ValueTask DisposeAsync()
    {
        _bench.Dispose();
        return ValueTask.CompletedTask;
    }

    [Theory]
    [InlineData(1, 32, 0.3)]
    [InlineData(2, 32, 0.3)]
    [InlineData(3, 32, 1)]
    [InlineData(4, 128, 0.04)]
    public async Task Execute_KilledAtRandomSteps_GivesTheSameModelAndCheckpoint(int seed, int dModel, double fraction)
    {
        TrainingRun whole = await _bench.ExecuteAsync("whole", Change);
        Random random = new(seed);
        TrainingRun run = _bench.NewRun(Change);
        for (int kill = 0; kill < 3; kill++)
        {
            long last = random.Next(1, 31);
            await KillAsync(run, last);
        }

        await _bench.ExecuteAsync("killed", run);

        run.Model.ShouldBe(whole.Model);
        run.Curve.ShouldBe(whole.Curve);
        run.Evaluation.ShouldBe(whole.Evaluation);
        _bench.Checkpoint("killed", 30).ShouldBe(_bench.Checkpoint("whole", 30));

        void Change(TrainingConfig config) => (config.Model.DModel, config.Recipe.WeightFraction) = (dModel, fraction);

        // A step that is not reached again, because a checkpoint is beyond it, kills nothing.
        async Task KillAsync(TrainingRun killed, long at)
        {
            try
            {
                await _bench.ExecuteAsync("killed", killed, step =>
                {
                    if (step == at) throw new KilledException();
                });
            }
            catch (KilledException)
            {
                killed.Status.Progress.Completed.ShouldBe(at);
            }
        }
    }

    [Fact]
    public async Task Execute_WithTaskPairs_AsksTheModelAtTheEnd_AndStoresTheAnswers()
    {
        TrainingRun run = await _bench.ExecuteAsync("asked", config =>
        {
            config.TaskPairs = 2;
            config.Model.NCtx = 128;
        });

        run.TaskAccuracies.Count.ShouldBe(20);
        run.TaskAccuracies[0].Task.ShouldBe("single_double_quote");
        run.TaskAccuracies.ShouldContain(score => score.Prompts == 4 && score.HasAccuracy && score.Accuracy >= 0 && score.Accuracy <= 1);
        run.TaskAccuracies.ShouldAllBe(score => (score.Prompts == 4) == (score.Obstacle == ""));
        StoredArtifact model = await _bench.Store.GetAsync(run.Model, Ct);
        string record = await File.ReadAllTextAsync(_bench.Store.GetPath(model, "training.json"), Ct);
        JsonNode.Parse(record)!["task_accuracies"]!.AsArray().Count.ShouldBe(20);

        (await _bench.ExecuteAsync("silent")).TaskAccuracies.ShouldBeEmpty();
    }

    [Fact]
    public async Task Execute_StoppedAndExtendedWithTheScheduleKept_GivesTheSameModelAndCheckpoint()
    {
        TrainingRun whole = await _bench.ExecuteAsync("whole");
        TrainingRun run = await StopAsync("stopped", 13);
        run.End.ShouldBe(TrainingEnd.Stopped);
        run.Curve[^1].Step.ShouldBe(13);
        run.Evaluation.Step.ShouldBe(13);
        run.Model.ShouldNotBe(whole.Model);

        Extend(run, new ExtendTrainingRunRequest { Steps = 22 });
        await _bench.ExecuteAsync("stopped", run);
        run.Curve[^1].Step.ShouldBe(22);
        Extend(run, new ExtendTrainingRunRequest { Steps = 30, Schedule = ExtensionSchedule.Keep });
        await _bench.ExecuteAsync("stopped", run);

        run.End.ShouldBe(TrainingEnd.StepsTaken);
        run.Model.ShouldBe(whole.Model);
        run.Curve.ShouldBe(whole.Curve);
        _bench.Checkpoint("stopped", 30).ShouldBe(_bench.Checkpoint("whole", 30));
    }

    [Fact]
    public async Task Execute_ExtendedWithTheScheduleRecomputed_LearnsOnAtItsDensity()
    {
        TrainingRun run = await _bench.ExecuteAsync("extended");
        double density = run.Status.Metrics["l0_fraction"];
        List<double> rates = [];

        Extend(run, new ExtendTrainingRunRequest { Steps = 60, Schedule = ExtensionSchedule.Recompute });
        await _bench.ExecuteAsync("extended", run, _ => rates.Add(run.Status.Metrics.GetValueOrDefault("learning_rate")));

        run.End.ShouldBe(TrainingEnd.StepsTaken);
        run.Curve[^1].Step.ShouldBe(60);
        run.Curve.Where(point => point.Step >= 30).ShouldAllBe(point => point.L0Fraction == density);
        // Halfway down the new slope, where the old one had ended.
        rates[1].ShouldBe(1.28e-2 / 2, 2e-4);
        run.Curve.Select(point => point.Step).ShouldBeInOrder();
    }

    [Theory]
    [InlineData(30, ExtensionSchedule.Keep)]
    [InlineData(30, ExtensionSchedule.Recompute)]
    [InlineData(31, ExtensionSchedule.Keep)]
    public async Task Extend_StepsThatAreNone_NamesTheField(long steps, ExtensionSchedule schedule)
    {
        TrainingRun run = await _bench.ExecuteAsync("ended");
        TrainingRun before = run.Clone();
        Should.Throw<ServiceDefaults.Errors.InvalidRequestException>(() => Extend(run, new ExtendTrainingRunRequest { Steps = steps, Schedule = schedule }))
            .Message.ShouldContain("steps");
        run.ShouldBe(before);
    }

    [Fact]
    public async Task Execute_TimeIntervalPassesAtEachStep_StoresACheckpointAtEach()
    {
        TrainingRun run = await _bench.ExecuteAsync("timed", config =>
            config.Checkpoints = new CheckpointConfig { TimeInterval = new Duration { Nanos = 100 }, Kept = 7 });

        run.Checkpoints.Select(checkpoint => checkpoint.Step).ShouldBe([24, 25, 26, 27, 28, 29, 30]);
        run.Checkpoints.ShouldAllBe(checkpoint => checkpoint.Bytes == _bench.Checkpoint("timed", checkpoint.Step).Length);
        CheckpointFolder.StepsIn(_bench.WorkFolder("timed")).ShouldBe(run.Checkpoints.Select(checkpoint => checkpoint.Step));
    }

    [Fact]
    public async Task Execute_PublishesCheckpoints_NamePointsAtTheNewestAndThenAtTheModel()
    {
        Dictionary<long, string?> named = [];
        TrainingRun run = _bench.NewRun(config => config.Checkpoints = new CheckpointConfig { PublishInterval = 10, PublishName = "models/x-latest" });

        await _bench.ExecuteAsync("published", run, step => named[step] = _bench.Store.FindAsync("models/x-latest", Ct).GetAwaiter().GetResult()?.Digest);

        named[10].ShouldBeNull();
        named[11].ShouldNotBeNull();
        named[20].ShouldBe(named[11]);
        named[21].ShouldNotBe(named[11]);
        run.PublishedStep.ShouldBe(20);
        run.PublishedModel.ShouldBe(named[30]);
        (await _bench.Store.GetAsync("models/x-latest", Ct)).Digest.ShouldBe(run.Model);
        TrainingRun plain = await _bench.ExecuteAsync("plain");
        run.Model.ShouldBe(plain.Model);
    }

    [Fact]
    public async Task Execute_ToItsEnd_StoresTheHistoryOfEvaluations()
    {
        TrainingRun run = await _bench.ExecuteAsync("history");

        StoredArtifact model = await _bench.Store.GetAsync(run.Model, Ct);
        TrainingEvaluation[] history = [.. (await File.ReadAllLinesAsync(_bench.Store.GetPath(model, "metrics.jsonl"), Ct)).Select(TrainingEvaluation.Parser.ParseJson)];
        history.Select(evaluation => evaluation.Step).ShouldBe([10, 20, 30]);
        history[^1].ShouldBe(run.Evaluation);
        run.Evaluation.L0["transformer.h.0.mlp.c_fc.weight"].ShouldBe(0.3, 1e-3);
        run.Evaluation.DeadNeurons.Count.ShouldBe(1);
        run.Evaluation.ActivationFractions.Keys.ShouldBe(["attn_out", "attn_read", "k", "mlp_out", "mlp_post", "mlp_read", "q", "v"], ignoreOrder: true);
        run.Evaluation.ActivationFractions["attn_read"].ShouldBeLessThanOrEqualTo(0.25);
        run.Evaluation.ResidualKurtosis.ShouldBeGreaterThan(1);
        run.Evaluation.GradientRms.ShouldBe(run.Status.Metrics["gradient_rms"]);
        run.Status.Metrics["model_flops_utilization"].ShouldBeGreaterThan(0);
    }

    [Fact]
    public async Task Execute_TwoRunsAtOnce_GiveWhatTheyGiveAlone()
    {
        TrainingRun first = await _bench.ExecuteAsync("a");
        TrainingRun second = await _bench.ExecuteAsync("b", config => config.Seed = 7);

        TrainingRun[] together = await Task.WhenAll(
            Task.Run(() => _bench.ExecuteAsync("c"), Ct), Task.Run(() => _bench.ExecuteAsync("d", config => config.Seed = 7), Ct));

        together.Select(run => run.Model).ShouldBe([first.Model, second.Model]);
        first.Model.ShouldNotBe(second.Model);
    }

    [Fact]
    public async Task Execute_DiskFullAtACheckpoint_FailsAndGoesOnOnceThereIsRoom()
    {
        TrainingRun whole = await _bench.ExecuteAsync("whole");
        long size = _bench.Checkpoint("whole", 5 * 6).Length;
        FullDisk disk = new(size * 5 / 2);
        TrainingRun run = _bench.NewRun();

        IOException error = await Should.ThrowAsync<IOException>(() => _bench.ExecuteAsync("full", run, create: disk.Create));
        ServiceDefaults.Errors.ErrorMapping.ToStatus(error).Message.ShouldContain("disk");
        CheckpointFolder.StepsIn(_bench.WorkFolder("full")).ShouldBe([5, 10]);
        await _bench.ExecuteAsync("full", run);

        run.Model.ShouldBe(whole.Model);
        run.Curve.ShouldBe(whole.Curve);
    }

    [Theory]
    [InlineData(0.5)]
    [InlineData(0.9)]
    [InlineData(0)]
    public async Task Execute_UnreadableCheckpoint_SaysWhatToDoAndGoesOnWhenThatIsDone(double cut)
    {
        TrainingRun whole = await _bench.ExecuteAsync("whole");
        TrainingRun run = _bench.NewRun();
        await Should.ThrowAsync<KilledException>(() => _bench.ExecuteAsync("torn", run, step =>
        {
            if (step == 17) throw new KilledException();
        }));
        string path = CheckpointFolder.PathOf(_bench.WorkFolder("torn"), 15);
        byte[] bytes = await File.ReadAllBytesAsync(path, Ct);
        await File.WriteAllBytesAsync(path, bytes[..(int)(bytes.Length * cut)], Ct);

        InvalidDataException error = await Should.ThrowAsync<InvalidDataException>(() => _bench.ExecuteAsync("torn", run));
        error.Message.ShouldContain(path);
        error.Message.ShouldContain("delete it");
        File.Delete(path);
        List<long> steps = [];
        await _bench.ExecuteAsync("torn", run, steps.Add);

        steps[0].ShouldBe(11);
        run.Model.ShouldBe(whole.Model);
    }

    private static void Extend(TrainingRun run, ExtendTrainingRunRequest request) =>
        TrainingRunMapping.Extend(run, request, [.. run.Checkpoints.Select(checkpoint => checkpoint.Step)]);

    private async Task<TrainingRun> StopAsync(string id, long at)
    {
        TrainingRun run = _bench.NewRun();
        await _bench.ExecuteAsync(id, run, step =>
        {
            if (step == at) run.StopRequested = true;
        });
        return run;
    }

    private sealed class KilledException : Exception;
}
