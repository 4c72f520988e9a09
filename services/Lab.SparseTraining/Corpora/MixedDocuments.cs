namespace Lab.SparseTraining.Corpora;

/// <summary>
/// Documents of several sources: the next one is always of the source that is furthest behind its share of the bytes. Ends where the first
/// source does, so that the shares hold for the whole.
/// </summary>
/// <param name="parts">The sources and their shares; at least one.</param>
internal sealed class MixedDocuments(IReadOnlyList<(IDocumentSource Source, double Weight)> parts) : IDocumentSource
{
    /// <inheritdoc/>
    public string Kind => "mix";

    /// <inheritdoc/>
    public string Description => string.Join("; ", parts.Select(part => $"{part.Weight / parts.Sum(other => other.Weight):P0} {part.Source.Description}"));

    /// <inheritdoc/>
    public long TotalBytes => (long)parts.Min(part => part.Source.TotalBytes / part.Weight * parts.Sum(other => other.Weight));

    /// <inheritdoc/>
    public IEnumerable<Stream?> Read(CancellationToken ct)
    {
        var readers = new List<IEnumerator<Stream?>>();
        try
        {
            foreach ((IDocumentSource source, _) in parts) readers.Add(source.Read(ct).GetEnumerator());
            double[] shares = new double[parts.Count];
            while (true)
            {
                int next = Array.IndexOf(shares, shares.Min());
                if (!readers[next].MoveNext()) yield break;
                Stream? document = readers[next].Current;
                shares[next] += (document?.Length ?? 0) / parts[next].Weight;
                yield return document;
            }
        }
        finally
        {
            foreach (IEnumerator<Stream?> reader in readers) reader.Dispose();
        }
    }
}
