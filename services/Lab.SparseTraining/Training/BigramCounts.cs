using Lab.Models;
using Lab.Models.Corpora;
using static TorchSharp.torch;

namespace Lab.SparseTraining.Training;

/// <summary>Fills a bigram table that is not trained with what follows what in a corpus.</summary>
internal static class BigramCounts
{
    private const int MaxVocab = 16384;
    private const int BlockTokens = 1 << 16;

    /// <summary>Sets entry [a, b] to log((n(a, b) + 1) / (n(a) + d_vocab)), n being counts in the split. Nothing, if the table is trained or there is none.</summary>
    /// <exception cref="ArgumentException">The vocabulary is too large. ParamName is the field.</exception>
    public static void Fill(Transformer model, TokenSplit split)
    {
        if (model.Config.LearnedBigramTable || model.Weights.Bigram is not { } table) return;
        int vocab = model.Config.DVocab;
        if (vocab > MaxVocab) throw new ArgumentException($"Bigrams of {vocab} tokens are not counted; at most {MaxVocab} are.", "config.model.bigram");
        float[] counts = new float[vocab * vocab];
        long[] tokens = new long[BlockTokens];
        long previous = -1;
        for (long from = 0; from < split.Length; from += BlockTokens)
        {
            Span<long> block = tokens.AsSpan(0, (int)Math.Min(BlockTokens, split.Length - from));
            split.Read(from, block);
            foreach (long token in block)
            {
                // Exact up to 2^24, far beyond where one more changes a logarithm.
                if (previous >= 0) counts[(previous * vocab) + token]++;
                previous = token;
            }
        }

        for (int row = 0; row < vocab; row++)
        {
            Span<float> entries = counts.AsSpan(row * vocab, vocab);
            double sum = vocab;
            foreach (float count in entries) sum += count;
            foreach (ref float entry in entries) entry = (float)Math.Log((entry + 1) / sum);
        }

        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        table.Value.copy_(tensor(counts, vocab, vocab));
    }
}
