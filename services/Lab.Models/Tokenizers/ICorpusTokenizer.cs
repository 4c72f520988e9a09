namespace Lab.Models.Tokenizers;

/// <summary>A tokenizer that was trained on a corpus here: it is stored with the corpus, and with every model that is trained on it.</summary>
public interface ICorpusTokenizer : ITokenizer
{
    /// <summary>The id that ends each document: the last one.</summary>
    int EndOfText { get; }

    /// <summary>Appends the token ids of a text to a list. The text never yields special tokens, but for an unknown word.</summary>
    void EncodeTo(ReadOnlySpan<char> text, List<int> ids);

    /// <summary>Writes the tokenizer's files to a folder that exists.</summary>
    void Save(string folder);
}
