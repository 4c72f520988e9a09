namespace Lab.SparseTraining.Corpora;

/// <summary>
/// Which documents are held out: those whose seeded hash is low. Both splits get at least one; of a single document the last lines are
/// held out.
/// </summary>
internal sealed class DocumentSplit
{
    private readonly bool[] _isHeldOut;
    private readonly double _fraction;

    private DocumentSplit(bool[] isHeldOut, double fraction) => (_isHeldOut, _fraction) = (isHeldOut, fraction);

    /// <summary>Whether there is only one document, of which the end is held out.</summary>
    public bool IsWithinDocument => _isHeldOut.Length == 1;

    /// <summary>Splits documents by their hashes.</summary>
    public static DocumentSplit Of(IReadOnlyList<ulong> hashes, double fraction)
    {
        ulong limit = (ulong)(fraction * Math.Pow(2, 64));
        bool[] isHeldOut = [.. hashes.Select(hash => hash < limit)];
        if (!isHeldOut.Contains(true)) isHeldOut[IndexOf(hashes, hashes.Min())] = true;
        else if (!isHeldOut.Contains(false)) isHeldOut[IndexOf(hashes, hashes.Max())] = false;
        return new DocumentSplit(isHeldOut, fraction);
    }

    /// <summary>The parts of a document, and whether each is held out.</summary>
    public IEnumerable<(string Text, bool IsHeldOut)> Parts(int document, string text)
    {
        if (!IsWithinDocument) return [(text, _isHeldOut[document])];
        int cut = (int)(text.Length * (1 - _fraction));
        int line = text.LastIndexOf('\n', Math.Max(0, cut - 1));
        if (line >= 0) cut = line + 1;
        else if (cut > 0 && char.IsHighSurrogate(text[cut - 1])) cut--;
        return [(text[..cut], false), (text[cut..], true)];
    }

    private static int IndexOf(IReadOnlyList<ulong> hashes, ulong hash) => hashes.ToList().IndexOf(hash);
}
