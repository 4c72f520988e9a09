using Lab.Models.Tokenizers;

namespace Lab.SparseTraining.Corpora.Dialogues;

/// <summary>Dialogues as tokens of whole words: for each turn the marker of its role, its words, and the marker of its end.</summary>
internal sealed class DialogueFormat : IDocumentFormat
{
    /// <inheritdoc/>
    public bool CanBeCut => false;

    /// <inheritdoc/>
    public ICorpusTokenizer Train(IEnumerable<string> pieces, int vocabSize, CancellationToken ct) =>
        WordVocabulary.Train(pieces.SelectMany(line => Dialogue.Parse(line).Turns).Select(turn => turn.Text), vocabSize, ct);

    /// <inheritdoc/>
    public void Encode(ICorpusTokenizer tokenizer, string piece, List<int> ids)
    {
        foreach (DialogueTurnText turn in Dialogue.Parse(piece).Turns)
        {
            ids.Add(turn.Role == DialogueTurnText.User ? WordTokenizer.User : WordTokenizer.Assistant);
            tokenizer.EncodeTo(turn.Text, ids);
            ids.Add(WordTokenizer.EndOfTurn);
        }
    }
}
