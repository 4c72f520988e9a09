using Lab.Protos.SparseTraining.V1;
using Lab.SparseTraining.Training;
using Lab.Tensors;

namespace Lab.SparseTraining.Tests.Training;

/// <summary>The training goes on while the disk takes a checkpoint.</summary>
public sealed class CheckpointWritingTests : IAsyncLifetime
{
    private TrainingBench _bench = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _bench = await TrainingBench.CreateAsync();

    public ValueTask DisposeAsync()
    {
        _bench.Dispose();
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task Execute_WhileACheckpointGetsToTheDisk_TakesFurtherStepsAndStoresTheStateOfItsOwn()
    {
        TrainingRun whole = await _bench.ExecuteAsync("whole", KeepAll);
        using ManualResetEventSlim stepped = new();
        TrainingRun run = _bench.NewRun(KeepAll);

        await _bench.ExecuteAsync(
            "slow",
            run,
            step =>
            {
                if (step == 8) stepped.Set();
            },
            path => new SlowFile(path, stepped));

        run.Model.ShouldBe(whole.Model);
        run.Checkpoints.Select(checkpoint => checkpoint.Step).ShouldBe([5, 10, 15, 20, 25, 30]);
        foreach (long step in run.Checkpoints.Select(checkpoint => checkpoint.Step))
            _bench.Checkpoint("slow", step).ShouldBe(_bench.Checkpoint("whole", step));

        static void KeepAll(TrainingConfig config) => config.Checkpoints = new CheckpointConfig { Kept = 7 };
    }

    [Fact]
    public async Task Execute_LastCheckpointCannotBeWritten_FailsWithoutAModel()
    {
        TrainingRun run = _bench.NewRun();
        string last = CheckpointFolder.PathOf(_bench.WorkFolder("failed"), 30);

        IOException error = await Should.ThrowAsync<IOException>(() => _bench.ExecuteAsync("failed", run, create: path =>
            path.StartsWith(last, StringComparison.Ordinal) ? throw new IOException("no room") : File.Create(path)));

        error.Message.ShouldBe("no room");
        run.Model.ShouldBeEmpty();
        run.End.ShouldBe(TrainingEnd.Unspecified);
        CheckpointFolder.StepsIn(_bench.WorkFolder("failed")).ShouldBe([20, 25]);
    }

    [Fact]
    public async Task Execute_ForkWhoseCheckpointIsGone_SaysSoAndDoesNotTrain()
    {
        TrainingRun run = _bench.NewRun(config => config.Fork = new ForkConfig { TrainingRun = "trainingRuns/source" });
        List<long> steps = [];

        InvalidDataException error = await Should.ThrowAsync<InvalidDataException>(() => _bench.ExecuteAsync("lost", run, steps.Add));

        error.Message.ShouldContain("trainingRuns/source");
        steps.ShouldBeEmpty();
    }

    /// <summary>A file that takes until an event to get to the disk.</summary>
    private sealed class SlowFile(string path, ManualResetEventSlim stepped) : FileStream(path, FileMode.CreateNew)
    {
        public override void Flush(bool flushToDisk)
        {
            if (flushToDisk && !stepped.Wait(TimeSpan.FromMinutes(1), Ct)) throw new TimeoutException("The training waits for the checkpoint of step 5.");
            base.Flush(flushToDisk);
        }
    }
}
