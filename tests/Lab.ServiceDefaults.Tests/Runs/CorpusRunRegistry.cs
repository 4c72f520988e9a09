using Lab.Protos.SparseTraining.V1;
using Lab.ServiceDefaults.Runs;
using Lab.Testing;
using Microsoft.Extensions.Hosting.Internal;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace Lab.ServiceDefaults.Tests.Runs;

/// <summary>A registry of corpus runs whose executor is a lambda.</summary>
internal sealed class CorpusRunRegistry : IAsyncDisposable
{
    private readonly ApplicationLifetime _lifetime = new(NullLogger<ApplicationLifetime>.Instance);

    public CorpusRunRegistry(
        TemporaryFolder folder, TimeProvider time, Func<RunContext<CorpusRun>, CancellationToken, Task> execute, int maxConcurrent = 1, AtomicFile? file = null) =>
        Runs = new RunRegistry<CorpusRun>(
            new RunSettings("corpusRuns", maxConcurrent) { WatchInterval = TimeSpan.Zero }, new Executor(execute),
            Options.Create(new LabOptions { Data = folder.Path }), _lifetime, time, NullLogger<RunRegistry<CorpusRun>>.Instance, file);

    public RunRegistry<CorpusRun> Runs { get; }

    public async Task<CorpusRunRegistry> StartAsync()
    {
        await Runs.StartAsync(TestContext.Current.CancellationToken);
        return this;
    }

    public async ValueTask StopAsync()
    {
        _lifetime.StopApplication();
        await Runs.StopAsync(TestContext.Current.CancellationToken);
    }

    /// <summary>Waits for the run's end.</summary>
    public async Task<CorpusRun> EndAsync(string name) =>
        await Runs.Watch(name, TestContext.Current.CancellationToken).LastAsync(TestContext.Current.CancellationToken);

    /// <summary>Waits until the run is as described.</summary>
    public async Task<CorpusRun> UntilAsync(string name, Func<CorpusRun, bool> condition) =>
        await Runs.Watch(name, TestContext.Current.CancellationToken).FirstAsync(condition, TestContext.Current.CancellationToken);

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        Runs.Dispose();
    }

    private sealed class Executor(Func<RunContext<CorpusRun>, CancellationToken, Task> execute) : IRunExecutor<CorpusRun>
    {
        public Task ExecuteAsync(RunContext<CorpusRun> context, CancellationToken ct) => execute(context, ct);
    }
}
