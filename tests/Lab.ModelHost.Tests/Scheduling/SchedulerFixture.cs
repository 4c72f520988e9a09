using Lab.ModelHost.Scheduling;
using Lab.Models;
using Lab.Tensors;
using Microsoft.Extensions.Time.Testing;

namespace Lab.ModelHost.Tests.Scheduling;

/// <summary>A scheduler of requests that only write down their turns.</summary>
public abstract class SchedulerFixture : IAsyncDisposable
{
    private readonly Transformer _model = HostedLab.NewModel();
    private readonly PassLog _log;
    private Task _blocking = Task.CompletedTask;

    private protected TensorWorker Worker { get; } = new("test");

    private protected FakeTimeProvider Time { get; } = new();

    /// <summary>Keeps the thread busy until it is set.</summary>
    private protected ManualResetEventSlim Gate { get; } = new();

    private protected List<string[]> Passes => _log.Passes;

    private protected SchedulerFixture() => _log = new PassLog(Time);

    public async ValueTask DisposeAsync()
    {
        Gate.Set();
        await _blocking.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await Worker.DisposeAsync();
        _model.Dispose();
        Gate.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>A scheduler whose thread is busy until <see cref="RunAllAsync"/>.</summary>
    private protected ModelScheduler NewScheduler(ModelHostOptions? options = null)
    {
        Block();
        return new ModelScheduler(_model, Worker, options ?? new ModelHostOptions(), 1_000_000_000, Time);
    }

    /// <summary>Makes the thread busy again.</summary>
    private protected void Block()
    {
        Gate.Reset();
        _blocking = Worker.RunAsync(_ => Gate.Wait(CancellationToken.None), CancellationToken.None);
    }

    private protected async Task RunAllAsync(params FakeWork[] works)
    {
        Gate.Set();
        await Task.WhenAll(works.Select(work => work.Ended));
    }

    private protected FakeWork Work(string name, int length = 2, WorkPriority priority = WorkPriority.Normal, int passes = 1, bool isAlone = false) =>
        new(_log, name, new PassShape(passes > 1 ? PassKind.Decode : PassKind.Run, 1, length) { IsAlone = isAlone }, priority, passes, new CancellationTokenSource());

    /// <summary>Work that runs alone: two passes over two tokens.</summary>
    private protected FakeSolo Solo(string name, WorkPriority priority = WorkPriority.Normal) => new(_log, name, priority, new CancellationTokenSource());
}
