using Google.Protobuf.WellKnownTypes;
using Google.Rpc;
using Lab.Protos.Run.V1;
using Lab.Protos.SparseTraining.V1;
using Lab.ServiceDefaults.Errors;
using Lab.ServiceDefaults.Runs;
using Lab.Testing;
using Microsoft.Extensions.Time.Testing;

namespace Lab.ServiceDefaults.Tests.Runs;

public sealed class RunRegistryTests : IDisposable
{
    private static readonly DateTimeOffset Noon = new(2026, 1, 2, 12, 0, 0, TimeSpan.Zero);
    private readonly TemporaryFolder _folder = new();
    private readonly FakeTimeProvider _time = new(Noon);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Create_Run_SucceedsWithItsOutputs()
    {
        await using CorpusRunRegistry registry = await StartAsync((context, _) =>
        {
            context.Run.Config.VocabSize.ShouldBe(512);
            context.IsResumed.ShouldBeFalse();
            Directory.Exists(context.WorkFolder).ShouldBeTrue();
            context.Metric("files", 3);
            context.Update(r => r.Corpus = "sha256:1");
            return Task.CompletedTask;
        });

        CorpusRun created = registry.Runs.Create("a", Config(512));
        CorpusRun ended = await registry.EndAsync("corpusRuns/a");

        created.Name.ShouldBe("corpusRuns/a");
        created.Status.CreateTime.ToDateTimeOffset().ShouldBe(Noon);
        ended.Status.State.ShouldBe(RunState.Succeeded);
        ended.Status.StartTime.ToDateTimeOffset().ShouldBe(Noon);
        ended.Status.EndTime.ToDateTimeOffset().ShouldBe(Noon);
        ended.Status.Metrics["files"].ShouldBe(3);
        ended.Corpus.ShouldBe("sha256:1");
        registry.Runs.Get("corpusRuns/a").ShouldBe(ended);
    }

    [Fact]
    public async Task Create_SameIdAndConfig_ReturnsTheRunThatExists()
    {
        int executions = 0;
        await using CorpusRunRegistry registry = await StartAsync((context, _) =>
        {
            executions++;
            context.Update(r => r.Corpus = "sha256:1");
            return Task.CompletedTask;
        });
        _ = registry.Runs.Create("a", Config(512));
        CorpusRun ended = await registry.EndAsync("corpusRuns/a");

        registry.Runs.Create("a", Config(512)).ShouldBe(ended);
        AbortedException other = Should.Throw<AbortedException>(() => registry.Runs.Create("a", Config(1024)));

        executions.ShouldBe(1);
        other.Reason.ShouldBe("RUN_EXISTS");
        other.Message.ShouldContain("corpusRuns/a");
    }

    [Fact]
    public async Task Create_SameIdAfterRestart_ComparesWithTheStoredConfig()
    {
        await using (CorpusRunRegistry first = await StartAsync(Succeed))
        {
            _ = first.Runs.Create("a", Config(512));
            _ = await first.EndAsync("corpusRuns/a");
        }

        await using CorpusRunRegistry second = await StartAsync(Succeed);

        second.Runs.Create("a", Config(512)).Status.State.ShouldBe(RunState.Succeeded);
        _ = Should.Throw<AbortedException>(() => second.Runs.Create("a", Config(1024)));
    }

    [Theory]
    [InlineData("A")]
    [InlineData("1a")]
    [InlineData("a_b")]
    [InlineData("../a")]
    [InlineData("a\n")]
    [InlineData("a23456789012345678901234567890123456789012345678901234567890abcd")]
    public async Task Create_MalformedId_NamesTheField(string id)
    {
        await using CorpusRunRegistry registry = await StartAsync(Succeed);

        Should.Throw<InvalidRequestException>(() => registry.Runs.Create(id, Config(512))).Violations.ShouldHaveSingleItem().Field.ShouldBe("run_id");
    }

    [Fact]
    public async Task Create_NoId_ChoosesOneEach()
    {
        await using CorpusRunRegistry registry = await StartAsync(Succeed);

        registry.Runs.Create("", Config(512)).Name.ShouldNotBe(registry.Runs.Create("", Config(512)).Name);
    }

    [Fact]
    public async Task Create_DiskFull_LeavesNoRun()
    {
        await using CorpusRunRegistry registry = await StartAsync(Succeed, file: new AtomicFile(new FullDisk(100).Create));

        IOException thrown = Should.Throw<IOException>(() => registry.Runs.Create("a", Config(512)));

        ErrorMapping.ToStatus(thrown).GetDetail<ErrorInfo>().Reason.ShouldBe("DISK_FULL");
        _ = Should.Throw<NotFoundException>(() => registry.Runs.Get("corpusRuns/a"));
        Directory.EnumerateFileSystemEntries(Path.Combine(_folder.Path, "runs", "corpusRuns")).ShouldBeEmpty();
    }

    [Fact]
    public async Task Create_WhereACorruptRunLeftFiles_StartsInAnEmptyFolder()
    {
        string folder = Path.Combine(_folder.Path, "runs", "corpusRuns", "a");
        _ = Directory.CreateDirectory(Path.Combine(folder, "checkpoints"));
        await File.WriteAllTextAsync(Path.Combine(folder, "checkpoints", "1"), "old", Ct);
        await File.WriteAllTextAsync(Path.Combine(folder, "run.json"), "{ \"name\": ", Ct);
        string[]? atStart = null;

        await using CorpusRunRegistry registry = await StartAsync((context, _) =>
        {
            atStart = [.. Directory.EnumerateFileSystemEntries(context.WorkFolder).Select(p => Path.GetFileName(p)).Order(StringComparer.Ordinal)];
            return Task.CompletedTask;
        });
        registry.Runs.List(0, "").Runs.ShouldBeEmpty();
        _ = registry.Runs.Create("a", Config(512));
        _ = await registry.EndAsync("corpusRuns/a");

        atStart.ShouldBe(["request.json", "run.json", "run.json.corrupt"]);
    }

    [Fact]
    public async Task Execute_Failure_IsTheRunsErrorAlsoAfterARestart()
    {
        await using (CorpusRunRegistry first = await StartAsync((_, _) => throw new InvalidRequestException("config.folder.path", "does not exist.")))
        {
            _ = first.Runs.Create("a", Config(512));
            Assert(await first.EndAsync("corpusRuns/a"));
        }

        await using CorpusRunRegistry second = await StartAsync(Succeed);
        Assert(second.Runs.Get("corpusRuns/a"));

        static void Assert(CorpusRun run)
        {
            run.Status.State.ShouldBe(RunState.Failed);
            run.Status.Error.Code.ShouldBe((int)Code.InvalidArgument);
            run.Status.Error.GetDetail<BadRequest>().FieldViolations.ShouldHaveSingleItem().Field.ShouldBe("config.folder.path");
            run.Status.Error.GetDetail<ErrorInfo>().Domain.ShouldBe("lab");
        }
    }

    [Fact]
    public async Task Execute_ErrorWithDetailOfUnknownType_IsStoredWithoutIt()
    {
        var status = new Google.Rpc.Status { Code = (int)Code.Unavailable, Message = "away", Details = { Any.Pack(new CorpusRun()), Any.Pack(new ErrorInfo { Reason = "AWAY" }) } };
        await using CorpusRunRegistry registry = await StartAsync((_, _) => throw Grpc.Core.RpcStatusExtensions.ToRpcException(status));

        _ = registry.Runs.Create("a", Config(512));
        CorpusRun run = await registry.EndAsync("corpusRuns/a");

        run.Status.Error.Code.ShouldBe((int)Code.Unavailable);
        run.Status.Error.Details.ShouldHaveSingleItem().Unpack<ErrorInfo>().Reason.ShouldBe("AWAY");
    }

    [Fact]
    public async Task Execute_OwnCancellation_IsAFailure()
    {
        await using CorpusRunRegistry registry = await StartAsync((_, _) => throw new OperationCanceledException());

        _ = registry.Runs.Create("a", Config(512));

        (await registry.EndAsync("corpusRuns/a")).Status.Error.Code.ShouldBe((int)Code.Internal);
    }

    [Fact]
    public async Task Execute_MoreRunsThanAllowedAtOnce_Wait()
    {
        int running = 0, most = 0;
        var gate = new SemaphoreSlim(0);
        var twoRun = new TaskCompletionSource();
        await using CorpusRunRegistry registry = await StartAsync(async (_, ct) =>
        {
            int now = Interlocked.Increment(ref running);
            most = Math.Max(most, now);
            if (now == 2) twoRun.TrySetResult();
            await gate.WaitAsync(ct);
            Interlocked.Decrement(ref running);
        }, maxConcurrent: 2);

        foreach (string id in (string[])["a", "b", "c", "d"]) _ = registry.Runs.Create(id, Config(512));
        await twoRun.Task.WaitAsync(Ct);
        registry.Runs.List(0, "").Runs.Count(r => r.Status.State == RunState.Queued).ShouldBe(2);
        _ = gate.Release(4);
        foreach (string id in (string[])["a", "b", "c", "d"]) (await registry.EndAsync($"corpusRuns/{id}")).Status.State.ShouldBe(RunState.Succeeded);

        most.ShouldBe(2);
    }

    private static Task Succeed(RunContext<CorpusRun> context, CancellationToken ct) => Task.CompletedTask;

    private static CorpusRun Config(int vocabSize) => new()
    {
        Config = new CorpusConfig { VocabSize = vocabSize, HeldOutFraction = 0.1, PythonStandardLibrary = new PythonStandardLibrarySource() },
    };

    private Task<CorpusRunRegistry> StartAsync(
        Func<RunContext<CorpusRun>, CancellationToken, Task> execute, int maxConcurrent = 1, AtomicFile? file = null) =>
        new CorpusRunRegistry(_folder, _time, execute, maxConcurrent, file).StartAsync();
}
