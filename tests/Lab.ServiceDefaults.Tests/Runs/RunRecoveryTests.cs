using Lab.Protos.Run.V1;
using Lab.Protos.SparseTraining.V1;
using Lab.ServiceDefaults.Runs;
using Lab.Testing;
using Microsoft.Extensions.Time.Testing;

namespace Lab.ServiceDefaults.Tests.Runs;

/// <summary>What a stop, a crash, damage or a second process does to runs.</summary>
public sealed class RunRecoveryTests : IDisposable
{
    private static readonly DateTimeOffset Noon = new(2026, 1, 2, 12, 0, 0, TimeSpan.Zero);
    private readonly TemporaryFolder _folder = new();
    private readonly FakeTimeProvider _time = new(Noon);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("")]
    [InlineData("{}")]
    [InlineData("{\"name\":\"corpusRuns/bad\",\"status\":{\"state\":\"RUN_STATE_RUNNING\"}}")]
    [InlineData("not json")]
    public async Task StartAsync_CorruptRun_IsMovedAsideAndTheOthersGoOn(string text)
    {
        await using (CorpusRunRegistry first = await StartAsync(Succeed))
        {
            _ = first.Runs.Create("good", Config(512));
            _ = await first.EndAsync("corpusRuns/good");
        }

        string bad = Path.Combine(_folder.Path, "runs", "corpusRuns", "bad");
        _ = Directory.CreateDirectory(bad);
        await File.WriteAllTextAsync(Path.Combine(bad, "run.json"), text, Ct);

        await using CorpusRunRegistry second = await StartAsync(Succeed);

        second.Runs.List(0, "").Runs.Select(r => r.Name).ShouldBe(["corpusRuns/good"]);
        (await File.ReadAllTextAsync(Path.Combine(bad, "run.json.corrupt"), Ct)).ShouldBe(text);
        File.Exists(Path.Combine(bad, "run.json")).ShouldBeFalse();
    }

    [Fact]
    public async Task StartAsync_AfterACrash_ContinuesQueuedAndRunningRuns()
    {
        await using CorpusRunRegistry first = await StartAsync(async (context, ct) =>
        {
            await File.WriteAllTextAsync(Path.Combine(context.WorkFolder, "checkpoint"), "step 7", ct);
            context.Update(r => r.SourceDescription = "halfway", persist: true);
            await Task.Delay(Timeout.Infinite, ct);
        });
        _ = first.Runs.Create("running", Config(512));
        _ = await first.UntilAsync("corpusRuns/running", r => r.SourceDescription.Length > 0);
        _time.Advance(TimeSpan.FromSeconds(1));
        _ = first.Runs.Create("queued", Config(1024));

        using TemporaryFolder left = _folder.Crash();
        var executions = new List<string>();
        await using var second = new CorpusRunRegistry(left, _time, async (context, ct) =>
        {
            string checkpoint = Path.Combine(context.WorkFolder, "checkpoint");
            executions.Add($"{context.Run.Name} {context.IsResumed} {context.Run.SourceDescription} {(File.Exists(checkpoint) ? await File.ReadAllTextAsync(checkpoint, ct) : "-")}");
        });
        _ = await second.StartAsync();
        CorpusRun running = await second.EndAsync("corpusRuns/running");
        CorpusRun queued = await second.EndAsync("corpusRuns/queued");

        executions.ShouldBe(["corpusRuns/running True halfway step 7", "corpusRuns/queued False  -"]);
        running.Status.State.ShouldBe(RunState.Succeeded);
        running.Status.ResumeCount.ShouldBe(1);
        running.Status.StartTime.ToDateTimeOffset().ShouldBe(Noon);
        queued.Status.State.ShouldBe(RunState.Succeeded);
    }

    [Fact]
    public async Task StopAsync_RunningRun_IsQueuedOnDiskAndContinues()
    {
        await using (CorpusRunRegistry first = await StartAsync(async (context, ct) =>
        {
            context.Update(r => r.SourceDescription = "halfway");
            await Task.Delay(Timeout.Infinite, ct);
        }))
        {
            _ = first.Runs.Create("a", Config(512));
            _ = await first.UntilAsync("corpusRuns/a", r => r.SourceDescription.Length > 0);
        }

        string stored = await File.ReadAllTextAsync(Path.Combine(_folder.Path, "runs", "corpusRuns", "a", "run.json"), Ct);
        stored.ShouldContain("RUN_STATE_QUEUED");
        stored.ShouldContain("halfway");
        await using CorpusRunRegistry second = await StartAsync(Succeed);
        (await second.EndAsync("corpusRuns/a")).Status.State.ShouldBe(RunState.Succeeded);
    }

    [Fact]
    public async Task StartAsync_FifthCrashWithoutGettingFurther_GivesTheRunUpUntilItIsResumed()
    {
        var folders = new Stack<TemporaryFolder>();
        try
        {
            TemporaryFolder folder = _folder;
            foreach (int step in new[] { 3, 3, 2, 5, 5, 4, 5, 5 })
            {
                await using var registry = new CorpusRunRegistry(folder, _time, async (context, ct) =>
                {
                    context.Update(r => r.Status.Progress = new Progress { Phase = "reading", Completed = step, Total = 9, Unit = "files" }, persist: true);
                    await Task.Delay(Timeout.Infinite, ct);
                });
                _ = await registry.StartAsync();
                _ = registry.Runs.Create("a", Config(512));
                _ = await registry.UntilAsync("corpusRuns/a", r => r.Status.State == RunState.Running && r.Status.Progress?.Completed == step);
                folders.Push(folder = folder.Crash());
            }

            await using var last = new CorpusRunRegistry(folder, _time, Succeed);
            _ = await last.StartAsync();
            CorpusRun run = last.Runs.Get("corpusRuns/a");
            run.Status.State.ShouldBe(RunState.Failed);
            run.Status.Error.Message.ShouldContain("5 of 9 files (reading)");
            run.Status.Interruptions.Count.ShouldBe(5);

            _ = last.Runs.Resume("corpusRuns/a");
            run = await last.EndAsync("corpusRuns/a");
            run.Status.State.ShouldBe(RunState.Succeeded);
            run.Status.Interruptions.ShouldBeNull();
        }
        finally
        {
            while (folders.TryPop(out TemporaryFolder? folder)) folder.Dispose();
        }
    }

    [Fact]
    public async Task StopAsync_ExecutorThrowsSomethingElse_RunIsNotFailed()
    {
        await using (CorpusRunRegistry first = await StartAsync(async (context, ct) =>
        {
            context.Update(r => r.SourceDescription = "started");
            await Task.Delay(Timeout.Infinite, ct).ContinueWith(_ => throw new ObjectDisposedException("worker"), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        }))
        {
            _ = first.Runs.Create("a", Config(512));
            _ = await first.UntilAsync("corpusRuns/a", r => r.SourceDescription.Length > 0);
        }

        (await File.ReadAllTextAsync(Path.Combine(_folder.Path, "runs", "corpusRuns", "a", "run.json"), Ct)).ShouldContain("RUN_STATE_QUEUED");
    }

    [Fact]
    public async Task StartAsync_LeftoversOfBrokenWrites_AreDeleted()
    {
        await using (CorpusRunRegistry first = await StartAsync(Succeed))
        {
            _ = first.Runs.Create("a", Config(512));
            _ = await first.EndAsync("corpusRuns/a");
        }

        string[] files = [.. ((string[])["run.json.1.tmp", "checkpoint-5.2.tmp", "checkpoint-5"]).Select(name => Path.Combine(_folder.Path, "runs", "corpusRuns", "a", name))];
        foreach (string file in files) await File.WriteAllTextAsync(file, "x", Ct);

        await using CorpusRunRegistry second = await StartAsync(Succeed);

        files.Select(File.Exists).ShouldBe([false, false, true]);
        second.Runs.Get("corpusRuns/a").Status.State.ShouldBe(RunState.Succeeded);
    }

    [Fact]
    public async Task StartAsync_FolderOfAnotherProcess_SaysWhichAndWhatToDo()
    {
        await using CorpusRunRegistry first = await StartAsync(Succeed);
        await using var second = new CorpusRunRegistry(_folder, _time, Succeed);

        InvalidOperationException thrown = await Should.ThrowAsync<InvalidOperationException>(second.StartAsync());

        thrown.Message.ShouldContain(_folder.Path);
        thrown.Message.ShouldContain("--data");
        thrown.Message.ShouldContain("Lab__Data");
    }

    private static Task Succeed(RunContext<CorpusRun> context, CancellationToken ct) => Task.CompletedTask;

    private static CorpusRun Config(int vocabSize) => new() { Config = new CorpusConfig { VocabSize = vocabSize } };

    private Task<CorpusRunRegistry> StartAsync(Func<RunContext<CorpusRun>, CancellationToken, Task> execute) =>
        new CorpusRunRegistry(_folder, _time, execute).StartAsync();
}
