namespace Lab.SparseTraining.Corpora;

/// <summary>How far the preparation of a corpus is.</summary>
/// <param name="Phase">"reading", "training the tokenizer" or "tokenizing".</param>
/// <param name="Completed">Bytes of text done.</param>
/// <param name="Total">Bytes of text in all; an estimate while reading.</param>
internal readonly record struct CorpusProgress(string Phase, long Completed, long Total)
{
    public const string Unit = "bytes";
}
