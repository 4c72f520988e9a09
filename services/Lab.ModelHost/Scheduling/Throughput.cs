namespace Lab.ModelHost.Scheduling;

/// <summary>How fast a model has been lately, from its passes: the older, the less they count. Not safe for concurrent use.</summary>
internal sealed class Throughput
{
    /// <summary>What a pass still counts after the next one.</summary>
    private const double Decay = 0.9;

    /// <summary>Where no pass has run yet: a guess that is forgotten after the first passes.</summary>
    private readonly double _guess;
    private double _tokens;
    private double _seconds;

    /// <param name="parameters">Parameters of the model.</param>
    public Throughput(long parameters)
    {
        // Two operations a parameter and token, at the speed of a few cores.
        const double OperationsPerSecond = 5e10;
        _guess = OperationsPerSecond / (2.0 * Math.Max(1, parameters));
    }

    /// <summary>Tokens a second, padding included.</summary>
    public double TokensPerSecond => _seconds > 0 ? _tokens / _seconds : _guess;

    /// <summary>Counts a pass.</summary>
    public void Add(long tokens, TimeSpan elapsed)
    {
        if (elapsed <= TimeSpan.Zero) return;
        _tokens = (_tokens * Decay) + tokens;
        _seconds = (_seconds * Decay) + elapsed.TotalSeconds;
    }

    /// <summary>How long so many tokens take.</summary>
    public TimeSpan TimeOf(double tokens) => TimeSpan.FromSeconds(Math.Min(tokens / TokensPerSecond, 1e6));
}
