using Lab.CircuitAnalysis.Pruning;

namespace Lab.CircuitAnalysis.Means;

/// <summary>Measures what nodes are on average.</summary>
internal interface IMeanActivations
{
    /// <summary>Runs a model over rows of tokens and averages each node over all their positions.</summary>
    /// <param name="model">The model artifact's digest.</param>
    /// <param name="layout">The model's nodes.</param>
    /// <param name="rows">Token IDs, all rows of one length.</param>
    /// <param name="report">Told the rows done.</param>
    /// <param name="ct">Cancels the work.</param>
    /// <returns>[nodes].</returns>
    Task<float[]> MeasureAsync(string model, NodeLayout layout, IReadOnlyList<long[]> rows, Action<int> report, CancellationToken ct);
}
