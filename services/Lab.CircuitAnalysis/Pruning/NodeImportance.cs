namespace Lab.CircuitAnalysis.Pruning;

/// <summary>How much a circuit's loss rises when one of its nodes is ablated.</summary>
internal static class NodeImportance
{
    /// <summary>The largest circuit whose nodes are ablated one by one.</summary>
    public const int MostExact = 400;

    /// <summary>
    /// [nodes]; zero outside of the circuit. Exact on the evaluator's prompts for up to <see cref="MostExact"/> nodes, above by the
    /// first-order change.
    /// </summary>
    public static double[] Measure(TaskEvaluator evaluator, bool[] kept, float[] means, Action<int, int> report, CancellationToken ct)
    {
        double[] importance = new double[kept.Length];
        int[] nodes = [.. Enumerable.Range(0, kept.Length).Where(node => kept[node])];
        if (nodes.Length > MostExact)
        {
            float[] gradient = evaluator.Gradient(kept, means, ct);
            foreach (int node in nodes) importance[node] = -gradient[node];
            return importance;
        }

        double whole = evaluator.Measure(kept, means, ct).Loss;
        bool[] trial = [.. kept];
        for (int i = 0; i < nodes.Length; i++)
        {
            trial[nodes[i]] = false;
            importance[nodes[i]] = evaluator.Measure(trial, means, ct).Loss - whole;
            trial[nodes[i]] = true;
            report(i + 1, nodes.Length);
        }

        return importance;
    }
}
