using Lab.Models.Interventions;
using Lab.Models.Statistics;

namespace Lab.ModelHost.Statistics;

/// <summary>The batches of a request; rows are numbered through all of them.</summary>
internal sealed class RequestBatches(IReadOnlyList<TokenBatch> batches) : IStatisticsInput
{
    public long Rows => batches.Sum(batch => (long)batch.Count);

    public long Tokens => batches.Sum(batch => batch.Lengths.Sum(length => (long)length));

    public IEnumerable<(TokenBatch Batch, IReadOnlyList<RowOrigin> Rows)> Batches()
    {
        long first = 0;
        foreach (TokenBatch batch in batches)
        {
            yield return (batch, [.. Enumerable.Range(0, batch.Count).Select(row => new RowOrigin(first + row, 0))]);
            first += batch.Count;
        }
    }

    public void Dispose()
    {
    }
}
