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

    /// <summary>
    /// Opens the documents one by one; null stands for one that cannot be opened. The caller closes each before it asks for the next. Streams
    /// know their length.
    /// </summary>
    IEnumerable<Stream?> Read(CancellationToken ct);
}
