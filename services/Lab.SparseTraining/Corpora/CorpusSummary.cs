using Lab.Models.Corpora;

namespace Lab.SparseTraining.Corpora;

/// <summary>What was built.</summary>
/// <param name="Info">What corpus.json says: all counts.</param>
/// <param name="SourceDescription">In words, what the corpus was made from on this machine.</param>
internal sealed record CorpusSummary(CorpusInfo Info, string SourceDescription)
{
    /// <summary>The most UTF-16 code units of text that were in memory at once for tokenizing.</summary>
    public long PeakBuffered { get; init; }
}
