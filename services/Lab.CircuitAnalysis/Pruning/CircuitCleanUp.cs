namespace Lab.CircuitAnalysis.Pruning;

/// <summary>
/// Drops nodes that a found circuit can do without, as long as its held-out loss stays at or below the target. Not part of the
/// published algorithm, whose authors do this by hand.
/// </summary>
/// <param name="evaluator">The held-out prompts.</param>
/// <param name="graph">The model's edges.</param>
/// <param name="means">[nodes].</param>
/// <param name="target">What the loss must not exceed.</param>
/// <param name="budget">How many forward passes over the prompts it may take; a gradient counts as three.</param>
internal sealed class CircuitCleanUp(TaskEvaluator evaluator, WeightGraph graph, float[] means, double target, int budget)
{
    /// <summary>
    /// First drops all nodes on no path at once, then nodes by rising expected harm per edge (the loss's first-order change), in
    /// groups that halve when one does harm. A node that cannot be dropped alone stays.
    /// </summary>
    public bool[] Run(bool[] kept, Action<int, int> report, CancellationToken ct)
    {
        int spent = 0;
        bool Reaches(bool[] trial)
        {
            report(Math.Min(++spent, budget), budget);
            return evaluator.Measure(trial, means, ct).Loss <= target;
        }

        bool[] connected = graph.WithoutInert(kept);
        if (!connected.SequenceEqual(kept) && Reaches(connected)) kept = connected;

        HashSet<int> needed = [];
        int group = Math.Max(1, kept.Count(keep => keep) / 4);
        int[]? order = null;
        while (spent < budget)
        {
            if (order is null)
            {
                order = Order(kept, needed, ct);
                spent += 3;
            }

            int[] candidates = [.. order.Where(node => !needed.Contains(node)).Take(group)];
            if (candidates.Length == 0) break;
            bool[] trial = [.. kept];
            foreach (int node in candidates) trial[node] = false;
            if (Reaches(trial)) (kept, order) = (trial, null);
            else if (candidates.Length == 1) needed.Add(candidates[0]);
            else group = Math.Max(1, candidates.Length / 2);
        }

        return kept;
    }

    private int[] Order(bool[] kept, HashSet<int> needed, CancellationToken ct)
    {
        float[] gradient = evaluator.Gradient(kept, means, ct);
        int[] degrees = graph.Degrees(kept);
        double Harm(int node) => -gradient[node] / (1.0 + degrees[node]);
        return [.. Enumerable.Range(0, kept.Length).Where(node => kept[node] && !needed.Contains(node)).OrderBy(Harm).ThenBy(node => node)];
    }
}
