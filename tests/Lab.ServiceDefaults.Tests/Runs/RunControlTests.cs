using Google.Protobuf.WellKnownTypes;
using Lab.Protos.Run.V1;
using Lab.Protos.SparseTraining.V1;
using Lab.ServiceDefaults.Errors;
using Lab.ServiceDefaults.Runs;
using Lab.Testing;
using Microsoft.Extensions.Time.Testing;

namespace Lab.ServiceDefaults.Tests.Runs;

/// <summary>Cancel, Resume, List, Watch and progress.</summary>
public sealed class RunControlTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly FakeTimeProvider _time = new();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Cancel_RunningRun_IsCancelledAtOnceAndForGood()
    {
        var stopped = new TaskCompletionSource();
        await using (CorpusRunRegistry registry = await StartAsync(async (context, ct) =>
        {
            context.Metric("files", 1);
            try
            {
                await Task.Delay(Timeout.Infinite, ct);
            }
            finally
            {
                context.Metric("files", 2);
                stopped.SetResult();
            }
        }))
        {
            _ = registry.Runs.Create("a", new CorpusRun());
            _ = await registry.UntilAsync("corpusRuns/a", r => r.Status.Metrics.Count > 0);

            registry.Runs.Cancel("corpusRuns/a").Status.State.ShouldBe(RunState.Cancelled);
            await stopped.Task.WaitAsync(Ct);

            CorpusRun run = await registry.EndAsync("corpusRuns/a");
            run.Status.State.ShouldBe(RunState.Cancelled);
            run.Status.EndTime.ShouldNotBeNull();
            run.Status.Metrics["files"].ShouldBe(1);
        }

        await using CorpusRunRegistry second = await StartAsync((_, _) => throw new InvalidOperationException("must not run"));
        second.Runs.Get("corpusRuns/a").Status.State.ShouldBe(RunState.Cancelled);
    }

    [Fact]
    public async Task Cancel_QueuedRun_NeverStarts()
    {
        var executed = new List<string>();
        var gate = new TaskCompletionSource();
        await using CorpusRunRegistry registry = await StartAsync(async (context, ct) =>
        {
            executed.Add(context.Run.Name);
            await gate.Task.WaitAsync(ct);
        });
        _ = registry.Runs.Create("first", new CorpusRun());
        _ = registry.Runs.Create("second", new CorpusRun());
        _ = registry.Runs.Create("third", new CorpusRun());

        _ = registry.Runs.Cancel("corpusRuns/second");
        gate.SetResult();
        _ = await registry.EndAsync("corpusRuns/third");

        executed.ShouldBe(["corpusRuns/first", "corpusRuns/third"]);
        registry.Runs.Get("corpusRuns/second").Status.StartTime.ShouldBeNull();
    }

    [Fact]
    public async Task Cancel_EndedRun_DoesNothing()
    {
        await using CorpusRunRegistry registry = await StartAsync((_, _) => Task.CompletedTask);
        _ = registry.Runs.Create("a", new CorpusRun());
        CorpusRun ended = await registry.EndAsync("corpusRuns/a");

        registry.Runs.Cancel("corpusRuns/a").ShouldBe(ended);
        registry.Runs.Resume("corpusRuns/a").ShouldBe(ended);
    }

    [Fact]
    public async Task Resume_FailedRun_GoesOnWhereItWas()
    {
        await using CorpusRunRegistry registry = await StartAsync(async (context, ct) =>
        {
            string checkpoint = Path.Combine(context.WorkFolder, "checkpoint");
            if (!context.IsResumed)
            {
                await File.WriteAllTextAsync(checkpoint, "7", ct);
                throw new InvalidDataException("broken");
            }

            string step = await File.ReadAllTextAsync(checkpoint, ct);
            context.Update(r => r.SourceDescription = step);
        });
        _ = registry.Runs.Create("a", new CorpusRun());
        (await registry.EndAsync("corpusRuns/a")).Status.State.ShouldBe(RunState.Failed);

        registry.Runs.Resume("corpusRuns/a").Status.Error.ShouldBeNull();
        CorpusRun run = await registry.EndAsync("corpusRuns/a");

        run.Status.State.ShouldBe(RunState.Succeeded);
        run.SourceDescription.ShouldBe("7");
    }

    [Fact]
    public async Task Resume_WhileTheCancelledExecutionStillRuns_WaitsForIt()
    {
        int running = 0, most = 0;
        var hold = new TaskCompletionSource();
        await using CorpusRunRegistry registry = await StartAsync(async (context, _) =>
        {
            if (context.Run.Name == "corpusRuns/b") return;
            most = Math.Max(most, Interlocked.Increment(ref running));
            if (!context.IsResumed)
            {
                context.Metric("files", 1);
                await hold.Task.WaitAsync(Ct);
            }

            Interlocked.Decrement(ref running);
        }, maxConcurrent: 3);
        _ = registry.Runs.Create("a", new CorpusRun());
        _ = await registry.UntilAsync("corpusRuns/a", r => r.Status.Metrics.Count > 0);
        _ = registry.Runs.Cancel("corpusRuns/a");

        registry.Runs.Resume("corpusRuns/a").Status.State.ShouldBe(RunState.Queued);
        // Behind it in the queue: once this one has ended, the resumed one had its turn.
        _ = registry.Runs.Create("b", new CorpusRun());
        _ = await registry.EndAsync("corpusRuns/b");
        registry.Runs.Get("corpusRuns/a").Status.State.ShouldBe(RunState.Queued);
        hold.SetResult();

        (await registry.EndAsync("corpusRuns/a")).Status.State.ShouldBe(RunState.Succeeded);
        most.ShouldBe(1);
    }

    [Fact]
    public async Task Get_UnknownOrForeignName_IsRefused()
    {
        await using CorpusRunRegistry registry = await StartAsync((_, _) => Task.CompletedTask);

        Should.Throw<NotFoundException>(() => registry.Runs.Get("corpusRuns/none")).Message.ShouldBe("There is no CorpusRun 'corpusRuns/none'.");
        Should.Throw<InvalidRequestException>(() => registry.Runs.Cancel("trainingRuns/a")).Violations[0].Field.ShouldBe("name");
        _ = Should.Throw<NotFoundException>(() => registry.Runs.Watch("corpusRuns/none", Ct));
    }

    [Fact]
    public async Task List_Pages_AreNewestFirstAndUnshiftedByNewRuns()
    {
        await using CorpusRunRegistry registry = await StartAsync((_, _) => Task.CompletedTask);
        foreach (string id in (string[])["a", "b", "c", "d", "e"])
        {
            _ = registry.Runs.Create(id, new CorpusRun());
            // Two of one time, to be told apart by name.
            if (id != "b") _time.Advance(TimeSpan.FromSeconds(1));
        }

        (IReadOnlyList<CorpusRun> first, string token) = registry.Runs.List(2, "");
        _ = registry.Runs.Create("f", new CorpusRun());
        (IReadOnlyList<CorpusRun> second, string next) = registry.Runs.List(2, token);
        (IReadOnlyList<CorpusRun> third, string last) = registry.Runs.List(2, next);

        first.Concat(second).Concat(third).Select(r => r.Name).ShouldBe(["corpusRuns/e", "corpusRuns/d", "corpusRuns/b", "corpusRuns/c", "corpusRuns/a"]);
        last.ShouldBeEmpty();
    }

    [Theory]
    [InlineData(-1, "", "page_size")]
    [InlineData(0, "x", "page_token")]
    [InlineData(0, "bm90IGEgdG9rZW4", "page_token")]
    public async Task List_BadArguments_NameTheField(int pageSize, string pageToken, string field)
    {
        await using CorpusRunRegistry registry = await StartAsync((_, _) => Task.CompletedTask);

        Should.Throw<InvalidRequestException>(() => registry.Runs.List(pageSize, pageToken)).Violations.ShouldHaveSingleItem().Field.ShouldBe(field);
    }

    [Fact]
    public async Task Watch_SlowReader_SkipsSnapshotsButNotTheLast()
    {
        var gate = new TaskCompletionSource();
        await using CorpusRunRegistry registry = await StartAsync(async (context, ct) =>
        {
            await gate.Task.WaitAsync(ct);
            for (int i = 0; i < 1000; i++) context.Metric("files", i);
        });
        _ = registry.Runs.Create("a", new CorpusRun());
        await using IAsyncEnumerator<CorpusRun> slow = registry.Runs.Watch("corpusRuns/a", Ct).GetAsyncEnumerator(Ct);
        (await slow.MoveNextAsync()).ShouldBeTrue();

        gate.SetResult();
        _ = await registry.EndAsync("corpusRuns/a");

        // The reader asks for the next one only now.
        (await slow.MoveNextAsync()).ShouldBeTrue();
        slow.Current.Status.State.ShouldBe(RunState.Succeeded);
        slow.Current.Status.Metrics["files"].ShouldBe(999);
        (await slow.MoveNextAsync()).ShouldBeFalse();
    }

    [Fact]
    public async Task Watch_ServiceStops_IsUnavailable()
    {
        await using CorpusRunRegistry registry = await StartAsync((_, ct) => Task.Delay(Timeout.Infinite, ct));
        _ = registry.Runs.Create("a", new CorpusRun());
        await using IAsyncEnumerator<CorpusRun> watch = registry.Runs.Watch("corpusRuns/a", Ct).GetAsyncEnumerator(Ct);
        while (watch.Current?.Status.State != RunState.Running) (await watch.MoveNextAsync()).ShouldBeTrue();
        ValueTask<bool> next = watch.MoveNextAsync();

        await registry.StopAsync();

        (await Should.ThrowAsync<UnavailableException>(next.AsTask())).Reason.ShouldBe("SERVICE_STOPPING");
    }

    [Fact]
    public async Task Watch_Cancelled_Throws()
    {
        await using CorpusRunRegistry registry = await StartAsync((_, ct) => Task.Delay(Timeout.Infinite, ct));
        _ = registry.Runs.Create("a", new CorpusRun());
        using var source = new CancellationTokenSource();
        await using IAsyncEnumerator<CorpusRun> watch = registry.Runs.Watch("corpusRuns/a", source.Token).GetAsyncEnumerator(Ct);
        while (watch.Current?.Status.State != RunState.Running) (await watch.MoveNextAsync()).ShouldBeTrue();
        ValueTask<bool> next = watch.MoveNextAsync();

        await source.CancelAsync();

        _ = await Should.ThrowAsync<OperationCanceledException>(next.AsTask());
    }

    [Fact]
    public async Task Update_ReachesTheDiskOnceASecond()
    {
        string path = Path.Combine(_folder.Path, "runs", "corpusRuns", "a", "run.json");
        var stored = new List<bool>();
        await using CorpusRunRegistry registry = await StartAsync((context, _) =>
        {
            context.Update(r => r.SourceDescription = "soon");
            stored.Add(File.ReadAllText(path).Contains("soon", StringComparison.Ordinal));
            _time.Advance(TimeSpan.FromSeconds(1));
            context.Update(r => r.SourceDescription = "later");
            stored.Add(File.ReadAllText(path).Contains("later", StringComparison.Ordinal));
            context.Update(r => r.SourceDescription = "now", persist: true);
            stored.Add(File.ReadAllText(path).Contains("now", StringComparison.Ordinal));
            return Task.CompletedTask;
        });

        _ = registry.Runs.Create("a", new CorpusRun());
        _ = await registry.EndAsync("corpusRuns/a");

        stored.ShouldBe([false, true, true]);
    }

    [Fact]
    public async Task Report_Progress_HasTheEtaOfThisPhasesRate()
    {
        var etas = new List<Duration?>();
        await using CorpusRunRegistry registry = await StartAsync((context, _) =>
        {
            void Report(string phase, long completed, long total)
            {
                context.Report(phase, completed, total, "steps");
                context.Update(r => etas.Add(r.Status.Progress.Eta));
            }

            Report("reading", 0, 10);
            _time.Advance(TimeSpan.FromSeconds(4));
            Report("reading", 10, 10);
            Report("training", 500, 1000);
            _time.Advance(TimeSpan.FromSeconds(10));
            Report("training", 600, 1000);
            Report("counting", 1, 0);
            return Task.CompletedTask;
        });

        _ = registry.Runs.Create("a", new CorpusRun());
        (await registry.EndAsync("corpusRuns/a")).Status.State.ShouldBe(RunState.Succeeded);

        etas.ShouldBe([null, new Duration(), null, Duration.FromTimeSpan(TimeSpan.FromSeconds(40)), null]);
    }

    private Task<CorpusRunRegistry> StartAsync(Func<RunContext<CorpusRun>, CancellationToken, Task> execute, int maxConcurrent = 1) =>
        new CorpusRunRegistry(_folder, _time, execute, maxConcurrent).StartAsync();
}
