using Microsoft.Extensions.Options;

namespace Lab.ModelHost.Residents;

/// <summary>The memory that weights may take, and who holds it: resident models, those on their way out and those being loaded.</summary>
internal sealed class ModelMemory(IOptions<ModelHostOptions> options)
{
    private const double DefaultShare = 0.7;

    private long _heldBytes;

    /// <summary>The most bytes that all models together may hold.</summary>
    public long Limit { get; } = options.Value.MaxModelBytes > 0
        ? options.Value.MaxModelBytes
        : (long)(DefaultShare * GC.GetGCMemoryInfo().TotalAvailableMemoryBytes);

    /// <summary>The bytes that are held.</summary>
    public long HeldBytes => Interlocked.Read(ref _heldBytes);

    /// <summary>Takes memory, whether or not the limit allows it.</summary>
    public Share Take(long bytes)
    {
        Interlocked.Add(ref _heldBytes, bytes);
        return new Share(this, bytes);
    }

    /// <summary>Memory that is held until disposed.</summary>
    internal sealed class Share(ModelMemory memory, long bytes) : IDisposable
    {
        private long _bytes = bytes;

        /// <summary>Replaces an estimate by what it came to.</summary>
        public void Resize(long bytes) => Interlocked.Add(ref memory._heldBytes, bytes - Interlocked.Exchange(ref _bytes, bytes));

        public void Dispose() => Resize(0);
    }
}
