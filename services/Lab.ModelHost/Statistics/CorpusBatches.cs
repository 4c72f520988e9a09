using Lab.ModelHost.Passes;
using Lab.ModelHost.Residents;
using Lab.Models.Corpora;
using Lab.Models.Interventions;
using Lab.Models.Statistics;

namespace Lab.ModelHost.Statistics;

/// <summary>Rows of a split of a corpus, which owns it: row r has the tokens from r times the row's length on.</summary>
/// <param name="corpus">The corpus, disposed with this.</param>
/// <param name="split">One of its splits.</param>
/// <param name="model">The model that is to run them.</param>
/// <param name="rowTokens">Tokens in a row.</param>
/// <param name="firstRow">The first row.</param>
/// <param name="rows">The number of rows.</param>
internal sealed class CorpusBatches(TokenCorpus corpus, TokenSplit split, ResidentModel model, int rowTokens, long firstRow, long rows) : IStatisticsInput
{
    // About a third of a second on a few cores, and less on an accelerator: other requests wait no longer for their turn.
    private const long BatchFlops = 20_000_000_000, AcceleratedBatchFlops = 2_000_000_000_000;
    private const long BatchBytes = 256 << 20;

    public long Rows => rows;

    public long Tokens => rows * rowTokens;

    public IEnumerable<(TokenBatch Batch, IReadOnlyList<RowOrigin> Rows)> Batches()
    {
        int batchRows = BatchRows();
        for (long first = firstRow; first < firstRow + rows; first += batchRows)
        {
            int count = (int)Math.Min(batchRows, firstRow + rows - first);
            yield return (Read(first, count), [.. Enumerable.Range(0, count).Select(row => new RowOrigin(first + row, 0))]);
        }
    }

    public void Dispose() => corpus.Dispose();

    private TokenBatch Read(long first, int count)
    {
        long[] ids = new long[(long)count * rowTokens];
        split.Read(first * rowTokens, ids);
        return new TokenBatch(model.Config, [.. ids.Chunk(rowTokens).Select(row => Array.ConvertAll(row, id => (int)id))], "corpus.artifact") { FirstRow = first };
    }

    private int BatchRows()
    {
        bool isAccelerated = !model.Facts.Device.StartsWith("cpu", StringComparison.Ordinal);
        long byTime = (isAccelerated ? AcceleratedBatchFlops : BatchFlops) / Math.Max(1, PassCost.Flops(model.Config, 1, rowTokens));
        long byMemory = BatchBytes / Math.Max(1, PassCost.LargestTensorBytes(model.Config, 1, rowTokens, PassCost.HasScores(model.Config)));
        return (int)Math.Clamp(Math.Min(byTime, byMemory), 1, 256);
    }
}
