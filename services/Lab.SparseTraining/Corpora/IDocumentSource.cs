namespace Lab.SparseTraining.Corpora;

/// <summary>Documents as raw bytes, in an order that depends on the seed and not on the machine.</summary>
internal interface IDocumentSource
{
    /// <summary>What corpus.json calls it.</summary>
    string Kind { get; }

    /// <summary>In words, where the documents come from on this machine.</summary>
    string Description { get; }

    /// <summary>About how many bytes there are.</summary>
    long TotalBytes { get; }

    /// <summary>Reads the documents one by one; null stands for one that cannot be read.</summary>
    IEnumerable<byte[]?> Read(CancellationToken ct);
}
