using Lab.Protos.Run.V1;
using Lab.Protos.SparseTraining.V1;
using Lab.ServiceDefaults.Errors;
using Lab.ServiceDefaults.Runs;
using Lab.Testing;
using Microsoft.Extensions.Time.Testing;

namespace Lab.ServiceDefaults.Tests.Runs;

/// <summary>Change, Reopen, and what a new run begins with.</summary>
public sealed class RunChangeTests : IDisposable
{
    private const string Name = "corpusRuns/a";
    private readonly TemporaryFolder _folder = new();
    private readonly FakeTimeProvider _time = new();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Change_RunningRun_IsSeenByItsExecutorAndOnDisk()
    {
        var changed = new TaskCompletionSource();
        await using CorpusRunRegistry registry = await StartAsync(async (context, _) =>
        {
            context.Metric("files", 1);
            await changed.Task;
            context.Update(run => run.Corpus += "!");
        });
        _ = registry.Runs.Create("a", new CorpusRun());
        _ = await registry.UntilAsync(Name, run => run.Status.Metrics.Count > 0);

        registry.Runs.Change(Name, run => run.Corpus = "asked").Corpus.ShouldBe("asked");
        File.ReadAllText(Path.Combine(registry.Runs.WorkFolder(Name), "run.json")).ShouldContain("asked");
        changed.SetResult();

        (await registry.EndAsync(Name)).Corpus.ShouldBe("asked!");
    }

    [Fact]
    public async Task Change_ThatThrowsOrCannotBeStored_ChangesNothing()
    {
        FullDisk disk = new(3000);
        await using CorpusRunRegistry registry = await StartAsync((_, _) => Task.CompletedTask, new AtomicFile(disk.Create));
        _ = registry.Runs.Create("a", new CorpusRun());
        CorpusRun ended = await registry.EndAsync(Name);

        Should.Throw<KeyNotFoundException>(() => registry.Runs.Change(Name, run =>
        {
            run.Corpus = "half";
            throw new KeyNotFoundException();
        }));
        await Should.ThrowAsync<IOException>(() => registry.Runs.ReopenAsync(Name, run => run.Corpus = new string('x', 4000), Ct));

        registry.Runs.Get(Name).ShouldBe(ended);
        (await registry.EndAsync(Name)).ShouldBe(ended);
    }

    [Fact]
    public async Task Reopen_RunThatSucceeded_IsWorkedOnAgain()
    {
        int executions = 0;
        await using CorpusRunRegistry registry = await StartAsync((context, _) =>
        {
            executions++;
            context.Update(run => run.Corpus += context.Run.SourceDescription);
            return Task.CompletedTask;
        });
        _ = registry.Runs.Create("a", new CorpusRun());
        _ = await registry.EndAsync(Name);

        CorpusRun reopened = await registry.Runs.ReopenAsync(Name, run => run.SourceDescription = "more", Ct);
        reopened.SourceDescription.ShouldBe("more");
        CorpusRun ended = await registry.EndAsync(Name);

        ended.Status.State.ShouldBe(RunState.Succeeded);
        ended.Corpus.ShouldBe("more");
        executions.ShouldBe(2);
    }

    [Fact]
    public async Task Reopen_RunThatHasNotEnded_SaysSoAndChangesNothing()
    {
        var gate = new TaskCompletionSource();
        await using CorpusRunRegistry registry = await StartAsync((_, _) => gate.Task);
        _ = registry.Runs.Create("a", new CorpusRun());

        (await Should.ThrowAsync<FailedPreconditionException>(() => registry.Runs.ReopenAsync(Name, run => run.Corpus = "x", Ct))).Reason.ShouldBe("NOT_ENDED");
        gate.SetResult();

        (await registry.EndAsync(Name)).Corpus.ShouldBeEmpty();
    }

    [Fact]
    public async Task Reopen_CancelledRunWhoseExecutorHasNotReturned_WaitsForIt()
    {
        var started = new TaskCompletionSource();
        var hold = new TaskCompletionSource();
        string last = Path.Combine(_folder.Path, "last");
        await using CorpusRunRegistry registry = await StartAsync(async (context, _) =>
        {
            if (context.IsResumed) return;
            started.SetResult();
            await hold.Task;
            await File.WriteAllTextAsync(last, "checkpoint", Ct);
        });
        _ = registry.Runs.Create("a", new CorpusRun());
        await started.Task.WaitAsync(Ct);
        _ = registry.Runs.Cancel(Name);

        Task<CorpusRun> reopening = registry.Runs.ReopenAsync(Name, run => run.Corpus = File.ReadAllText(last), Ct);
        reopening.IsCompleted.ShouldBeFalse();
        hold.SetResult();

        (await reopening).Corpus.ShouldBe("checkpoint");
        (await registry.EndAsync(Name)).Status.State.ShouldBe(RunState.Succeeded);
    }

    [Fact]
    public async Task Create_Prepare_FillsTheFolderOfANewRunOnce()
    {
        await using CorpusRunRegistry registry = await StartAsync((context, _) =>
        {
            context.Update(run => run.Corpus = File.ReadAllText(Path.Combine(context.WorkFolder, "seed")));
            return Task.CompletedTask;
        });

        _ = registry.Runs.Create("a", new CorpusRun(), folder => File.WriteAllText(Path.Combine(folder, "seed"), "s"));
        (await registry.EndAsync(Name)).Corpus.ShouldBe("s");
        registry.Runs.Create("a", new CorpusRun(), _ => throw new InvalidOperationException("must not run")).Corpus.ShouldBe("s");
    }

    [Fact]
    public async Task Create_PrepareThatThrows_LeavesNoRun()
    {
        await using CorpusRunRegistry registry = await StartAsync((_, _) => Task.CompletedTask);

        Should.Throw<InvalidRequestException>(() => registry.Runs.Create("a", new CorpusRun(), _ => throw new InvalidRequestException("config.x", "is wrong")));

        Should.Throw<NotFoundException>(() => registry.Runs.Get(Name));
        Directory.EnumerateDirectories(Path.Combine(_folder.Path, "runs", "corpusRuns")).ShouldBeEmpty();
    }

    private Task<CorpusRunRegistry> StartAsync(Func<RunContext<CorpusRun>, CancellationToken, Task> execute, AtomicFile? file = null) =>
        new CorpusRunRegistry(_folder, _time, execute, file: file).StartAsync();
}
