namespace Lab.Models.Statistics;

/// <summary>The numbers that statistics give. All are NaN while there are no tokens.</summary>
public static class StatisticsSummary
{
    extension(ActivationStatistics statistics)
    {
        /// <summary>The mean of each channel.</summary>
        public double[] Mean() => [.. Range(statistics).Select(i => statistics.Count == 0 ? double.NaN : statistics.Moments.Mean[i])];

        /// <summary>The variance of each channel: squared deviations divided by the number of tokens.</summary>
        public double[] Variance() => [.. Range(statistics).Select(i => statistics.Moments.SquaredDeviations[i] / statistics.Count)];

        /// <summary>The smallest value of each channel.</summary>
        public float[] Min() => [.. Range(statistics).Select(i => statistics.Count == 0 ? float.NaN : statistics.Moments.Min[i])];

        /// <summary>The largest value of each channel.</summary>
        public float[] Max() => [.. Range(statistics).Select(i => statistics.Count == 0 ? float.NaN : statistics.Moments.Max[i])];

        /// <summary>The part of the tokens for which each channel is not zero.</summary>
        public double[] NonzeroFraction() =>
            [.. Range(statistics).Select(i => (statistics.Count - statistics.Moments.Zeros[i]) / (double)statistics.Count)];

        /// <summary>
        /// Estimates quantiles of a channel: for q the value at rank floor(q (count - 1)) of the sorted values, with the relative error of
        /// <see cref="StatisticsOptions.QuantileError"/>; never outside of the true minimum and maximum.
        /// </summary>
        /// <param name="channel">From 0; heads one after the other.</param>
        /// <param name="quantiles">Each from 0 to 1.</param>
        /// <exception cref="InvalidOperationException">The options keep no quantiles.</exception>
        public double[] Quantiles(int channel, params IReadOnlyList<double> quantiles)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(channel);
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(channel, statistics.Channels);
            return Estimate(statistics, statistics.Sketches.ElementAtOrDefault(channel), statistics.Moments.Min[channel], statistics.Moments.Max[channel], quantiles);
        }

        /// <summary>Estimates quantiles of the tokens' Euclidean norms. See the quantiles of channels.</summary>
        public double[] NormQuantiles(params IReadOnlyList<double> quantiles) =>
            Estimate(statistics, statistics.Norms.Sketch, statistics.Norms.Min, statistics.Norms.Max, quantiles);

        /// <summary>The mean of the tokens' Euclidean norms.</summary>
        public double NormMean() => statistics.Count == 0 ? double.NaN : statistics.Norms.Mean;

        /// <summary>The variance of the tokens' Euclidean norms: squared deviations divided by the number of tokens.</summary>
        public double NormVariance() => statistics.Norms.SquaredDeviations / statistics.Count;

        /// <summary>The smallest of the tokens' Euclidean norms.</summary>
        public double NormMin() => statistics.Count == 0 ? double.NaN : statistics.Norms.Min;

        /// <summary>The largest of the tokens' Euclidean norms.</summary>
        public double NormMax() => statistics.Count == 0 ? double.NaN : statistics.Norms.Max;

        /// <summary>The tokens that activate a channel most, the largest first; of equal values the earlier ones.</summary>
        public IReadOnlyList<ActivatingToken> Top(int channel) => statistics.Largest?.Of(channel) ?? [];

        /// <summary>The tokens that activate a channel least, the smallest first; of equal values the earlier ones.</summary>
        public IReadOnlyList<ActivatingToken> Bottom(int channel) => statistics.Smallest?.Of(channel) ?? [];

        /// <summary>The covariance, [channels, channels] row-major: products of deviations divided by the number of tokens; null if it is not kept.</summary>
        public double[]? Covariance() => statistics.Products is { } products ? [.. products.Products.Select(sum => sum / statistics.Count)] : null;
    }

    private static IEnumerable<int> Range(ActivationStatistics statistics) => Enumerable.Range(0, statistics.Channels);

    private static double[] Estimate(ActivationStatistics statistics, QuantileSketch? sketch, double min, double max, IReadOnlyList<double> quantiles)
    {
        if (sketch is null) throw new InvalidOperationException($"The statistics of {statistics.Hook} keep no quantiles.");
        for (int i = 0; i < quantiles.Count; i++)
        {
            if (!(quantiles[i] is >= 0 and <= 1)) throw new ArgumentException($"The quantile {quantiles[i]} is not from 0 to 1.", $"quantiles[{i}]");
        }

        double[] estimates = new double[quantiles.Count];
        Array.Fill(estimates, double.NaN);
        if (statistics.Count == 0) return estimates;
        (long Rank, int Index)[] ranks = [.. quantiles.Select((q, i) => ((long)Math.Floor(q * (statistics.Count - 1)), i)).Order()];
        double[] sorted = new double[ranks.Length];
        sketch.AtRanks([.. ranks.Select(rank => rank.Rank)], sorted);
        for (int i = 0; i < ranks.Length; i++) estimates[ranks[i].Index] = Math.Clamp(sorted[i], min, max);
        return estimates;
    }
}
