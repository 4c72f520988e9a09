using System.Runtime.InteropServices;

namespace Lab.Models.Tokenizers;

/// <summary>Chooses the words of a <see cref="WordTokenizer"/>.</summary>
public static class WordVocabulary
{
    /// <summary>The tokens that are not words: four markers and end of text.</summary>
    public const int SpecialTokens = WordTokenizer.SpecialCount + 1;

    /// <summary>Takes the most frequent words. Equal texts and size give an equal tokenizer; of equally frequent words the first by code units.</summary>
    /// <param name="texts">The texts, enumerated once.</param>
    /// <param name="vocabSize">Most tokens in the vocabulary, special ones included; at least 6.</param>
    /// <param name="ct">Stops the counting.</param>
    /// <exception cref="ArgumentOutOfRangeException">The size is out of range.</exception>
    public static WordTokenizer Train(IEnumerable<string> texts, int vocabSize, CancellationToken ct)
    {
        ArgumentNullException.ThrowIfNull(texts);
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(vocabSize, SpecialTokens);
        var counts = new Dictionary<string, long>(StringComparer.Ordinal);
        var lookup = counts.GetAlternateLookup<ReadOnlySpan<char>>();
        foreach (string text in texts)
        {
            ct.ThrowIfCancellationRequested();
            foreach (var match in WordPieces.Of(text)) CollectionsMarshal.GetValueRefOrAddDefault(lookup, text.AsSpan(match.Index, match.Length), out _)++;
        }

        return new WordTokenizer(counts.OrderByDescending(count => count.Value).ThenBy(count => count.Key, StringComparer.Ordinal).Take(vocabSize - SpecialTokens).Select(count => count.Key));
    }
}
