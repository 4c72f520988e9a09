using Lab.Models.Tokenizers;

namespace Lab.SparseTraining.Corpora;

/// <summary>What the documents of a corpus are, and how they become tokens.</summary>
internal interface IDocumentFormat
{
    /// <summary>Whether a document may be cut, for memory or to hold out its end.</summary>
    bool CanBeCut { get; }

    /// <summary>Trains the tokenizer on pieces of documents.</summary>
    ICorpusTokenizer Train(IEnumerable<string> pieces, int vocabSize, CancellationToken ct);

    /// <summary>Appends the tokens of a piece of a document. Called by several threads at once.</summary>
    void Encode(ICorpusTokenizer tokenizer, string piece, List<int> ids);
}
