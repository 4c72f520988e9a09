using Lab.EndToEnd.Tests.Support;

[assembly: AssemblyFixture(typeof(SharedGateway))]

namespace Lab.EndToEnd.Tests.Support;

/// <summary>
/// Five processes for all tests that kill none of them. Through their gateway the experiment has run with both seeds at once, started by
/// two `lab run --gateway`.
/// </summary>
public sealed class SharedGateway : IAsyncDisposable
{
    private readonly Lazy<Task<FiveProcesses>> _parts = new(() => FiveProcesses.StartAsync(CancellationToken.None));
    private Task<RunReport[]>? _reports;

    public async ValueTask DisposeAsync()
    {
        if (_parts.IsValueCreated && _parts.Value.IsCompletedSuccessfully) await (await _parts.Value).DisposeAsync();
    }

    /// <summary>The processes, once they are ready.</summary>
    internal Task<FiveProcesses> StartedAsync() => _parts.Value;

    /// <summary>The run of a seed, 0 or 1, once both have ended.</summary>
    internal async Task<RunReport> ReportAsync(string corpus, int seed) => (await (_reports ??= RunAsync(corpus)))[seed];

    private async Task<RunReport[]> RunAsync(string corpus)
    {
        FiveProcesses parts = await StartedAsync();
        return await Task.WhenAll(Enumerable.Range(0, 2).Select(seed =>
            LabCli.RunAsync(parts.DataFolder, corpus, seed, CancellationToken.None, "--gateway", parts.Gateway)));
    }
}
