using Lab.Models.Tokenizers;

namespace Lab.SparseTraining.Corpora;

/// <summary>Plain text, in tokens of a byte-level BPE vocabulary.</summary>
internal sealed class TextFormat : IDocumentFormat
{
    /// <inheritdoc/>
    public bool CanBeCut => true;

    /// <inheritdoc/>
    public ICorpusTokenizer Train(IEnumerable<string> pieces, int vocabSize, CancellationToken ct) => BpeTrainer.Train(pieces, vocabSize, ct);

    /// <inheritdoc/>
    public void Encode(ICorpusTokenizer tokenizer, string piece, List<int> ids) => tokenizer.EncodeTo(piece, ids);
}
