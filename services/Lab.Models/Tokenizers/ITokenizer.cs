namespace Lab.Models.Tokenizers;

/// <summary>Turns text into a model's token ids and back. Implementations are safe for use by many threads.</summary>
public interface ITokenizer
{
    /// <summary>One more than the highest id. A model may have more rows of embeddings than that, or fewer.</summary>
    int VocabSize { get; }

    /// <summary>The tokens that stand for no text.</summary>
    SpecialTokens SpecialTokens { get; }

    /// <summary>Turns a text into tokens, and says for each which part of the text it covers.</summary>
    /// <exception cref="ArgumentException">
    /// The vocabulary has no token for a character (<c>text</c>), or BOS is demanded of a tokenizer that has none (<c>bos</c>).
    /// </exception>
    TokenizedText Encode(string text, EncodeOptions options);

    /// <summary>Turns token ids into text. Bytes that are not UTF-8 become U+FFFD; an id below <see cref="VocabSize"/> that no token has gives nothing.</summary>
    /// <param name="ids">The ids.</param>
    /// <param name="skipSpecial">Whether special tokens are left out; else they appear as their text.</param>
    /// <exception cref="ArgumentOutOfRangeException">An id is not in the vocabulary.</exception>
    string Decode(ReadOnlySpan<int> ids, bool skipSpecial = false);

    /// <summary>
    /// The text of one token on its own, for display: a leading space is kept, and bytes that are not UTF-8 on their own are
    /// shown as <c>&lt;0xE2&gt;</c>.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The id is not in the vocabulary.</exception>
    string TokenText(int id);

    /// <summary>The bytes, in UTF-8, that one token stands for on its own, a leading space included; none for an id that no token has.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The id is not in the vocabulary.</exception>
    ReadOnlySpan<byte> TokenBytes(int id);
}
