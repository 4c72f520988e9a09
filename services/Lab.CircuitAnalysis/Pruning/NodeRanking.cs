namespace Lab.CircuitAnalysis.Pruning;

/// <summary>The order in which nodes join a circuit.</summary>
internal static class NodeRanking
{
    /// <summary>By falling mask logit, ties by number; nodes without any effect come last.</summary>
    /// <param name="logits">[nodes].</param>
    /// <param name="effect">
    /// [nodes]: the derivative of the training loss by each node's mask, with all nodes kept. A node whose entry is exactly
    /// zero reaches no output or never leaves its mean; its logit is noise.
    /// </param>
    public static int[] Rank(float[] logits, float[] effect) =>
        [.. Enumerable.Range(0, logits.Length).OrderBy(node => effect[node] == 0).ThenByDescending(node => logits[node]).ThenBy(node => node)];

    /// <summary>The mask that keeps the first <paramref name="count"/> nodes of a ranking.</summary>
    public static bool[] Keep(int[] ranking, int count)
    {
        bool[] kept = new bool[ranking.Length];
        for (int i = 0; i < count; i++) kept[ranking[i]] = true;
        return kept;
    }
}
