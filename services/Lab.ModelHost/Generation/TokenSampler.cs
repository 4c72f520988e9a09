namespace Lab.ModelHost.Generation;

/// <summary>Picks tokens from logits. Equal seeds and logits give equal tokens, on every machine.</summary>
internal sealed class TokenSampler(SamplingOptions options)
{
    private ulong _state = (ulong)options.Seed;

    /// <summary>Picks a token; ties go to the lower ID.</summary>
    /// <param name="logits">[d_vocab], finite.</param>
    /// <param name="top">How many of the most likely tokens to tell of.</param>
    public (int Id, float LogProbability, IReadOnlyList<(int Id, float LogProbability)> Top) Pick(ReadOnlySpan<float> logits, int top = 0)
    {
        double max = double.NegativeInfinity, total = 0;
        foreach (float logit in logits) max = Math.Max(max, logit);
        foreach (float logit in logits) total += Math.Exp(logit - max);
        double shift = max + Math.Log(total);
        int id = options.Temperature == 0 ? logits.IndexOf((float)max) : Sample(logits, max);
        (int Id, float LogProbability)[] likely = new (int Id, float LogProbability)[Math.Min(top, logits.Length)];
        if (likely.Length > 0)
        {
            int[] ids = Largest(logits, likely.Length);
            for (int i = 0; i < likely.Length; i++) likely[i] = (ids[i], (float)(logits[ids[i]] - shift));
        }

        return (id, (float)(logits[id] - shift), likely);
    }

    private int Sample(ReadOnlySpan<float> logits, double max)
    {
        int[] candidates = options.TopK > 0 && options.TopK < logits.Length ? Largest(logits, options.TopK) : [.. Enumerable.Range(0, logits.Length)];
        double[] weights = new double[candidates.Length];
        for (int i = 0; i < candidates.Length; i++) weights[i] = Math.Exp((logits[candidates[i]] - max) / options.Temperature);
        if (options.TopP < 1) KeepNucleus(ref candidates, ref weights);
        double left = NextUniform() * weights.Sum();
        for (int i = 0; i < candidates.Length - 1; i++)
        {
            left -= weights[i];
            if (left < 0) return candidates[i];
        }

        return candidates[^1];
    }

    /// <summary>Keeps the fewest candidates whose probabilities sum to at least top_p (Holtzman et al. 2019), the likeliest first.</summary>
    private void KeepNucleus(ref int[] candidates, ref double[] weights)
    {
        // All that are less likely than (1 - p) / n have less than 1 - p together, so none is needed: few are left to sort.
        double total = weights.Sum(), least = total * (1 - options.TopP) / weights.Length;
        List<(double Weight, int Id)> likely = [];
        for (int i = 0; i < candidates.Length; i++)
        {
            if (weights[i] >= least) likely.Add((weights[i], candidates[i]));
        }

        likely.Sort((a, b) => a.Weight == b.Weight ? a.Id.CompareTo(b.Id) : b.Weight.CompareTo(a.Weight));
        double sum = 0;
        int count = 0;
        while (count < likely.Count && (count == 0 || sum < total * options.TopP)) sum += likely[count++].Weight;
        candidates = [.. likely.Take(count).Select(one => one.Id)];
        weights = [.. likely.Take(count).Select(one => one.Weight)];
    }

    /// <summary>The tokens of the largest logits, in their order; ties go to the lower ID.</summary>
    private static int[] Largest(ReadOnlySpan<float> logits, int count)
    {
        // The smallest of those kept is the first out; of equal ones that with the higher ID.
        PriorityQueue<int, (float Logit, int Id)> kept = new(count + 1);
        for (int id = 0; id < logits.Length; id++)
        {
            if (kept.Count < count) kept.Enqueue(id, (logits[id], -id));
            else if (logits[id] > logits[kept.Peek()]) kept.EnqueueDequeue(id, (logits[id], -id));
        }

        int[] ids = new int[kept.Count];
        for (int i = ids.Length - 1; i >= 0; i--) ids[i] = kept.Dequeue();
        return ids;
    }

    /// <summary>SplitMix64 (Steele et al. 2014), of which the upper 53 bits make a number in [0, 1).</summary>
    private double NextUniform()
    {
        _state += 0x9E37_79B9_7F4A_7C15;
        ulong z = _state;
        z = (z ^ (z >> 30)) * 0xBF58_476D_1CE4_E5B9;
        z = (z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB;
        return ((z ^ (z >> 31)) >> 11) * (1.0 / (1L << 53));
    }
}
