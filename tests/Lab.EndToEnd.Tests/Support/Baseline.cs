using Lab.EndToEnd.Tests.Support;
using Lab.Testing;

[assembly: AssemblyFixture(typeof(Baseline))]
// Processes of several tests at once would only wait for each other's cores.
[assembly: Xunit.v3.Parallelization(Mode = Xunit.Sdk.ParallelMode.None)]

namespace Lab.EndToEnd.Tests.Support;

/// <summary>
/// What the experiment gives with nothing in its way: two labs with data folders of their own, one for each seed, at the same time on
/// this machine. All other ways to run it are compared with these.
/// </summary>
public sealed class Baseline : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly Lazy<Task<RunReport[]>> _reports;

    public Baseline()
    {
        QuoteCorpus.Write(Corpus);
        _reports = new(() => Task.WhenAll(Enumerable.Range(0, 2).Select(seed => LabCli.RunAsync(DataFolder(seed), Corpus, seed, CancellationToken.None))));
    }

    /// <summary>The corpus of all runs.</summary>
    public string Corpus => _folder["corpus"];

    /// <summary>The data folder of a seed's run.</summary>
    public string DataFolder(int seed) => _folder[$"lab-{seed}"];

    public void Dispose() => _folder.Dispose();

    /// <summary>The run of a seed, 0 or 1.</summary>
    internal async Task<RunReport> ReportAsync(int seed) => (await _reports.Value)[seed];
}
