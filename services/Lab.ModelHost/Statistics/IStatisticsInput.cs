using Lab.Models.Interventions;
using Lab.Models.Statistics;

namespace Lab.ModelHost.Statistics;

/// <summary>The tokens to measure activations over: batches of a request, or rows of a corpus.</summary>
internal interface IStatisticsInput : IDisposable
{
    /// <summary>Rows in all.</summary>
    long Rows { get; }

    /// <summary>Tokens in all.</summary>
    long Tokens { get; }

    /// <summary>The batches, in order, and where their rows come from. Reads them again at each enumeration.</summary>
    IEnumerable<(TokenBatch Batch, IReadOnlyList<RowOrigin> Rows)> Batches();
}
