using Lab.Models.Corpora;

namespace Lab.CircuitAnalysis.Means;

/// <summary>The corpus tokens over which means are taken.</summary>
internal static class MeanRows
{
    /// <summary>Rows of full context, spread evenly over the split: the same ones whatever a run's seed.</summary>
    /// <param name="split">At least one token.</param>
    /// <param name="tokens">How many tokens, rounded up to whole rows; fewer if the split has no more.</param>
    /// <param name="nCtx">The model's context.</param>
    public static IReadOnlyList<long[]> Read(TokenSplit split, int tokens, int nCtx)
    {
        int length = (int)Math.Min(nCtx, split.Length);
        long count = Math.Min((tokens + length - 1) / length, split.Length / length);
        long[][] rows = new long[count][];
        for (int row = 0; row < count; row++)
        {
            rows[row] = new long[length];
            split.Read(count == 1 ? 0 : (split.Length - length) * row / (count - 1), rows[row]);
        }

        return rows;
    }
}
