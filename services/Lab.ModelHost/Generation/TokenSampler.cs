namespace Lab.ModelHost.Generation;

/// <summary>Picks tokens from logits. Equal seeds and logits give equal tokens, on every machine.</summary>
internal sealed class TokenSampler(float temperature, int topK, long seed)
{
    private ulong _state = (ulong)seed;

    /// <summary>Picks a token; ties go to the lower ID.</summary>
    /// <param name="logits">[d_vocab], finite.</param>
    public (int Id, float LogProbability) Pick(ReadOnlySpan<float> logits)
    {
        double max = double.NegativeInfinity, total = 0;
        foreach (float logit in logits) max = Math.Max(max, logit);
        foreach (float logit in logits) total += Math.Exp(logit - max);
        int id = temperature == 0 ? logits.IndexOf((float)max) : Sample(logits, max);
        return (id, (float)(logits[id] - max - Math.Log(total)));
    }

    private int Sample(ReadOnlySpan<float> logits, double max)
    {
        float[] values = logits.ToArray();
        int[] candidates = [.. Enumerable.Range(0, values.Length)];
        if (topK > 0 && topK < values.Length)
        {
            candidates = [.. candidates.OrderByDescending(id => values[id]).ThenBy(id => id).Take(topK)];
        }

        double[] weights = [.. candidates.Select(id => Math.Exp((values[id] - max) / temperature))];
        double left = NextUniform() * weights.Sum();
        for (int i = 0; i < candidates.Length - 1; i++)
        {
            left -= weights[i];
            if (left < 0) return candidates[i];
        }

        return candidates[^1];
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
