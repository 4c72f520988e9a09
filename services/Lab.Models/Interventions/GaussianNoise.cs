namespace Lab.Models.Interventions;

/// <summary>
/// Standard normal numbers that are a function of their place, so that batched, padded, cached and repeated passes get equal ones:
/// SplitMix64's finaliser (Steele et al. 2014) as a counter-based generator, and Box and Muller's transform.
/// </summary>
public static class GaussianNoise
{
    /// <summary>Fills the noise of one token.</summary>
    /// <param name="values">Gets a number for each of <paramref name="channels"/>.</param>
    /// <param name="seed">The seed.</param>
    /// <param name="hook">The hook's canonical name.</param>
    /// <param name="row">The row of the request's batch.</param>
    /// <param name="position">The position in the row, from 0.</param>
    /// <param name="channels">The channels, of all heads counted through.</param>
    public static void Fill(Span<double> values, long seed, string hook, long row, int position, ReadOnlySpan<long> channels)
    {
        ulong key = Mix((ulong)seed);
        foreach (char letter in hook) key = Mix(key ^ letter);
        key = Mix(Mix(key ^ (ulong)row) ^ ((ulong)(uint)position << 32));
        for (int i = 0; i < values.Length; i++)
        {
            // Two channels share a pair of uniform numbers.
            ulong pair = (ulong)channels[i] >> 1;
            double radius = Math.Sqrt(-2 * Math.Log(1 - Uniform(Mix(key + (2 * pair)))));
            (double sin, double cos) = Math.SinCos(2 * Math.PI * Uniform(Mix(key + (2 * pair) + 1)));
            bool isFirst = (channels[i] & 1) == 0;
            values[i] = radius * (isFirst ? cos : sin);
            if (isFirst && i + 1 < values.Length && channels[i + 1] == channels[i] + 1) values[++i] = radius * sin;
        }
    }

    /// <summary>In [0, 1), of the upper 53 bits.</summary>
    private static double Uniform(ulong bits) => (bits >> 11) * (1.0 / (1L << 53));

    private static ulong Mix(ulong z)
    {
        z += 0x9E37_79B9_7F4A_7C15;
        z = (z ^ (z >> 30)) * 0xBF58_476D_1CE4_E5B9;
        z = (z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB;
        return z ^ (z >> 31);
    }
}
