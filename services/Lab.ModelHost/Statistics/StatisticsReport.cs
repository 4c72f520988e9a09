using Lab.Protos.ModelHost.V1;

namespace Lab.ModelHost.Statistics;

/// <summary>What is to be told of what was measured.</summary>
/// <param name="Statistics">Which numbers.</param>
/// <param name="Quantiles">Which quantiles, each from 0 to 1.</param>
/// <param name="SendsState">Whether the state is sent, for a later merge.</param>
/// <param name="Store">The name to store it under; empty to store it without one, null not to store it.</param>
internal sealed record StatisticsReport(IReadOnlySet<Statistic> Statistics, IReadOnlyList<double> Quantiles, bool SendsState, string? Store)
{
    /// <summary>Whether the state is sent or stored.</summary>
    public bool NeedsState => SendsState || Store is not null;
}
