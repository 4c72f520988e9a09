namespace Lab.Benchmarks;

/// <summary>One thing that is measured against another, both in this very process and run.</summary>
internal interface IBenchmark
{
    /// <summary>What selects it on the command line, and begins the names of its numbers.</summary>
    string Name { get; }

    /// <summary>Measures, and writes what it found.</summary>
    Task RunAsync(BenchmarkReport report, CancellationToken ct);
}
