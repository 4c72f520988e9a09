using System.Runtime.InteropServices;
using System.Text;

namespace Lab.Models.Tokenizers;

/// <summary>
/// Learns a byte-level BPE vocabulary: the 256 bytes, then the most frequent adjacent pair merged again and again, then
/// <c>&lt;|endoftext|&gt;</c>. Pieces are split as openai/circuit_sparsity's tinypython_2k does (Gao et al. 2025, A.6).
/// </summary>
public static class BpeTrainer
{
    /// <summary>The smallest vocabulary: all bytes and the end-of-text token.</summary>
    public const int MinVocabSize = 257;

    /// <summary>The largest vocabulary.</summary>
    public const int MaxVocabSize = 65536;

    /// <summary>Trains a tokenizer. Equal texts and size give an equal tokenizer: ties are broken by the lowest token ids.</summary>
    /// <param name="texts">The documents, enumerated once.</param>
    /// <param name="vocabSize">
    /// Tokens in the vocabulary, from 257 to 65536, the end-of-text token included. The result is smaller where the texts
    /// hold too few pairs that occur at least twice.
    /// </param>
    /// <param name="ct">Stops the training.</param>
    /// <exception cref="ArgumentOutOfRangeException">The size is out of range.</exception>
    public static LabTokenizer Train(IEnumerable<string> texts, int vocabSize, CancellationToken ct)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(vocabSize, MinVocabSize);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(vocabSize, MaxVocabSize);
        var tokens = new List<byte[]>(vocabSize);
        for (int id = 0; id < 256; id++) tokens.Add([ByteAlphabet.ByteOf(id)]);
        var known = new HashSet<string>(tokens.Select(Convert.ToHexString), StringComparer.Ordinal);
        var merges = new List<(int Left, int Right)>();
        var table = new BpePairTable(CountPieces(texts, ct));
        while (tokens.Count < vocabSize - 1 && table.TryTakeMostFrequent(out (int Left, int Right) pair))
        {
            ct.ThrowIfCancellationRequested();
            byte[] merged = [.. tokens[pair.Left], .. tokens[pair.Right]];

            // vocab.json has one id for each byte string, so a second way to the same string is left unmerged.
            if (!known.Add(Convert.ToHexString(merged))) continue;
            table.Merge(pair, tokens.Count);
            tokens.Add(merged);
            merges.Add(pair);
        }

        return new LabTokenizer(tokens, merges);
    }

    private static List<BpeWord> CountPieces(IEnumerable<string> texts, CancellationToken ct)
    {
        var counts = new Dictionary<string, long>(StringComparer.Ordinal);
        var lookup = counts.GetAlternateLookup<ReadOnlySpan<char>>();
        foreach (string text in texts)
        {
            ct.ThrowIfCancellationRequested();
            foreach (ReadOnlySpan<char> piece in PreTokens.Split(text))
            {
                CollectionsMarshal.GetValueRefOrAddDefault(lookup, piece, out _)++;
            }
        }

        int[] idOfByte = new int[256];
        for (int id = 0; id < 256; id++) idOfByte[ByteAlphabet.ByteOf(id)] = id;
        return [.. counts.Select(c => new BpeWord([.. Encoding.UTF8.GetBytes(c.Key).Select(b => idOfByte[b])], c.Value))];
    }
}
