using Lab.EndToEnd.Tests.Support;

[assembly: AssemblyFixture(typeof(SharedLab))]

namespace Lab.EndToEnd.Tests.Support;

/// <summary>
/// Five processes for all tests that kill none of them. Through their gateway the experiment has run with both seeds at once, asked for
/// by two `lab run --gateway`.
/// </summary>
public sealed class SharedLab : IAsyncDisposable
{
    private readonly Lazy<Task<NativeLab>> _lab = new(() => NativeLab.StartAsync(CancellationToken.None));
    private Task<RunReport[]>? _reports;

    public async ValueTask DisposeAsync()
    {
        if (_lab.IsValueCreated && _lab.Value.IsCompletedSuccessfully) await (await _lab.Value).DisposeAsync();
    }

    /// <summary>The lab, once it is ready.</summary>
    internal Task<NativeLab> StartedAsync() => _lab.Value;

    /// <summary>The run of a seed, 0 or 1, once both have ended.</summary>
    internal async Task<RunReport> ReportAsync(string corpus, int seed) => (await (_reports ??= RunAsync(corpus)))[seed];

    private async Task<RunReport[]> RunAsync(string corpus)
    {
        NativeLab lab = await StartedAsync();
        return await Task.WhenAll(Enumerable.Range(0, 2).Select(seed =>
            LabCli.RunAsync(lab.DataFolder, corpus, seed, CancellationToken.None, "--gateway", lab.Gateway.ToString())));
    }
}
