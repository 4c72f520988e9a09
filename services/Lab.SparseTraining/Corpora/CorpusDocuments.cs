using System.Buffers.Binary;

namespace Lab.SparseTraining.Corpora;

/// <summary>The distinct documents of a source, on disk.</summary>
internal sealed class CorpusDocuments : IDisposable
{
    private readonly List<ulong> _splitHashes = [];

    private CorpusDocuments(DocumentSpool spool) => Spool = spool;

    /// <summary>The documents.</summary>
    public DocumentSpool Spool { get; }

    /// <summary>Documents left out because they are not text or cannot be read.</summary>
    public long Skipped { get; private set; }

    /// <summary>Documents left out because their text is that of an earlier one.</summary>
    public long Duplicate { get; private set; }

    /// <summary>Numbers that decide the split, one for each document.</summary>
    public IReadOnlyList<ulong> SplitHashes => _splitHashes;

    /// <summary>Reads a source.</summary>
    public static CorpusDocuments Read(CorpusConfig config, IDocumentSource source, string folder, CorpusLimits limits, Action<CorpusProgress> progress, CancellationToken ct)
    {
        var documents = new CorpusDocuments(new DocumentSpool(folder));
        try
        {
            documents.Read(config, source, limits, progress, ct);
            return documents;
        }
        catch
        {
            documents.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Spool.Dispose();

    private void Read(CorpusConfig config, IDocumentSource source, CorpusLimits limits, Action<CorpusProgress> progress, CancellationToken ct)
    {
        long limit = config.MaxBytes == 0 ? long.MaxValue : config.MaxBytes;
        long total = Math.Min(source.TotalBytes, limit);
        var reader = new DocumentReader(Spool, limits.BufferBytes);

        // 128 bits of SHA-256 tell any number of documents apart.
        var digests = new HashSet<UInt128>();
        foreach (Stream? stream in source.Read(ct))
        {
            using Stream? document = stream;
            ct.ThrowIfCancellationRequested();
            long remaining = limit - Spool.Bytes;
            byte[]? digest = document is null ? null : reader.Copy(document, remaining, ct);
            bool isCut = Spool.CurrentBytes > remaining;
            if (!Keep(digest, digests, remaining, isCut))
            {
                Spool.Rollback();
            }
            else
            {
                Spool.Commit();
                _splitHashes.Add(SeededHash.Of(config.Seed, digest));
                progress(new CorpusProgress("reading", Spool.Bytes, total));
            }

            if (isCut || Spool.Bytes == limit) break;
        }
    }

    private bool Keep(byte[]? digest, HashSet<UInt128> digests, long remaining, bool isCut)
    {
        if (digest is null)
        {
            Skipped++;
            return false;
        }

        if (Spool.CurrentBytes == 0) return false;
        if (!digests.Add(BinaryPrimitives.ReadUInt128LittleEndian(digest)))
        {
            Duplicate++;
            return false;
        }

        // Part of a line is worth keeping only where it is all there is.
        return !isCut || (Spool.Truncate(remaining) | Spool.Count == 0 && Spool.CurrentBytes > 0);
    }
}
