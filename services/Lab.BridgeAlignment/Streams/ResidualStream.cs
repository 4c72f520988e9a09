using System.Runtime.CompilerServices;
using Lab.Tensors;

namespace Lab.BridgeAlignment.Streams;

/// <summary>Streams both models' residuals. While the reader works on one batch the next is on its way, and no more than one.</summary>
/// <param name="source">Runs the models.</param>
/// <param name="denseModel">The dense model's digest.</param>
/// <param name="sparseModel">The sparse model's digest.</param>
/// <param name="sites">The hooks to read, in both models.</param>
internal sealed class ResidualStream(IActivationSource source, string denseModel, string sparseModel, IReadOnlyList<string> sites)
{
    /// <summary>Reads one batch from both models at once.</summary>
    public async Task<ResidualBatch> ReadAsync(TokenBatch batch, CancellationToken ct)
    {
        Task<IReadOnlyList<HostTensor>> dense = source.ReadActivationsAsync(denseModel, batch, sites, ct);
        Task<IReadOnlyList<HostTensor>> sparse = source.ReadActivationsAsync(sparseModel, batch, sites, ct);
        _ = await Task.WhenAll(dense, sparse);
        return new ResidualBatch(await dense, await sparse);
    }

    /// <summary>Reads the batches of steps <paramref name="first"/> to <paramref name="end"/> - 1.</summary>
    public async IAsyncEnumerable<ResidualBatch> ReadAllAsync(long first, long end, Func<long, TokenBatch> batchOf, [EnumeratorCancellation] CancellationToken ct)
    {
        if (first >= end) yield break;
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(ct);
        Task<ResidualBatch> next = ReadAsync(batchOf(first), stop.Token);
        try
        {
            for (long step = first; step < end; step++)
            {
                ResidualBatch batch = await next;
                if (step + 1 < end) next = ReadAsync(batchOf(step + 1), stop.Token);
                yield return batch;
            }
        }
        finally
        {
            // A reader that leaves early must not leave a request behind. Its outcome is of no interest to anybody.
            await stop.CancelAsync();
            await ((Task)next).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }
}
