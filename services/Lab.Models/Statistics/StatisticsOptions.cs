namespace Lab.Models.Statistics;

/// <summary>What is kept of the activations at a hook. Statistics merge only if they were made with equal options.</summary>
public sealed record StatisticsOptions
{
    /// <summary>The smallest and the largest <see cref="QuantileError"/>, but for 0.</summary>
    public const double MinQuantileError = QuantileSketch.MinError, MaxQuantileError = QuantileSketch.MaxError;

    /// <summary>The most that <see cref="TopCount"/> and <see cref="BottomCount"/> may be.</summary>
    public const int MaxExtremeCount = 1024;

    /// <summary>The most channels of a hook whose full covariance is kept: the matrix has 8 bytes for each pair of channels.</summary>
    public const int MaxCovarianceChannels = 4096;

    /// <summary>
    /// The relative error that quantiles may have, 0.0005 to 0.2, or 0 for no quantiles; by default 0.01. Buckets are parts of an octave,
    /// 2^m to each, so that the actual error is 1 / (2^(m + 1) + 1) for the smallest m that serves: 0.78 % by default.
    /// </summary>
    public double QuantileError { get; init; } = 0.01;

    /// <summary>How many of the tokens that activate each channel most are kept; 0 for none, by default 10.</summary>
    public int TopCount { get; init; } = 10;

    /// <summary>How many of the tokens that activate each channel least (most negatively) are kept; by default 0.</summary>
    public int BottomCount { get; init; }

    /// <summary>Whether the covariance of all pairs of channels is kept; by default only each channel's variance.</summary>
    public bool HasCovariance { get; init; }

    /// <summary>Whether quantiles are kept.</summary>
    internal bool HasQuantiles => QuantileError > 0;

    /// <summary>The buckets to an octave are two to this power.</summary>
    internal int QuantileBits => QuantileSketch.BitsFor(QuantileError);

    /// <summary>Requires that the options are lawful for a hook.</summary>
    /// <param name="channels">The hook's channels, heads included.</param>
    /// <param name="field">The path of the options, for errors: "options".</param>
    /// <exception cref="ArgumentException">One is not; ParamName is its path.</exception>
    public void Require(long channels, string field = "options")
    {
        if (QuantileError != 0 && !(QuantileError is >= MinQuantileError and <= MaxQuantileError))
        {
            throw new ArgumentException(
                $"The error of quantiles is {QuantileError}; it must be 0 for none, or from {MinQuantileError} to {MaxQuantileError}.", $"{field}.quantile_error");
        }

        RequireCount(TopCount, $"{field}.top_count");
        RequireCount(BottomCount, $"{field}.bottom_count");
        if (HasCovariance && channels > MaxCovarianceChannels)
        {
            throw new ArgumentException($"The covariance of {channels} channels is too large: at most {MaxCovarianceChannels} are allowed.", $"{field}.covariance");
        }
    }

    /// <summary>
    /// The memory that statistics of so many channels will hold, in bytes: an estimate that holds where values of a channel span some
    /// 64 octaves of both signs together.
    /// </summary>
    /// <param name="channels">The hook's channels, heads included.</param>
    public Int128 EstimateBytes(long channels)
    {
        long quantiles = HasQuantiles ? 1024 + (64L * sizeof(int) << QuantileBits) : 0, extremes = 24L * (TopCount + BottomCount);
        return (Int128)channels * (32 + quantiles + extremes + (HasCovariance ? channels * sizeof(double) : 0));
    }

    private static void RequireCount(int count, string field)
    {
        if (count is < 0 or > MaxExtremeCount) throw new ArgumentException($"{count} tokens a channel: it must be from 0 to {MaxExtremeCount}.", field);
    }
}
