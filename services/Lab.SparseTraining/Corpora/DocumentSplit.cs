namespace Lab.SparseTraining.Corpora;

/// <summary>Which documents are held out: those whose seeded hash is low. Both splits get at least one.</summary>
internal sealed class DocumentSplit
{
    private readonly bool[] _isHeldOut;

    private DocumentSplit(bool[] isHeldOut) => _isHeldOut = isHeldOut;

    /// <summary>The split of two documents of which the second is held out.</summary>
    public static DocumentSplit OfTwo { get; } = new([false, true]);

    /// <summary>Splits documents, of which there are at least two, by their hashes.</summary>
    public static DocumentSplit Of(IReadOnlyList<ulong> hashes, double fraction)
    {
        ulong limit = (ulong)(fraction * Math.Pow(2, 64));
        bool[] isHeldOut = [.. hashes.Select(hash => hash < limit)];
        if (!isHeldOut.Contains(true)) isHeldOut[IndexOf(hashes, hashes.Min())] = true;
        else if (!isHeldOut.Contains(false)) isHeldOut[IndexOf(hashes, hashes.Max())] = false;
        return new DocumentSplit(isHeldOut);
    }

    /// <summary>Whether a document is held out.</summary>
    public bool IsHeldOut(int document) => _isHeldOut[document];

    private static int IndexOf(IReadOnlyList<ulong> hashes, ulong hash) => hashes.ToList().IndexOf(hash);
}
