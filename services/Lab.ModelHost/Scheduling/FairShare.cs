namespace Lab.ModelHost.Scheduling;

/// <summary>
/// Shares the model's time between requests that have not begun and sequences that are being decoded: of equal priority, the side
/// that has had less of it goes first. Not safe for concurrent use.
/// </summary>
internal sealed class FairShare
{
    /// <summary>What the second side has had more than the first, in seconds, while both had work.</summary>
    private double _balance;

    /// <summary>Whether the second side goes first.</summary>
    /// <param name="first">The priority of the first side; null if it has nothing to do.</param>
    /// <param name="second">That of the second.</param>
    public bool PrefersSecond(WorkPriority? first, WorkPriority? second)
    {
        if (first is null || second is null) return second is not null;
        return first == second ? _balance <= 0 : second < first;
    }

    /// <summary>Counts a pass that ran while both had work.</summary>
    /// <param name="isSecond">Whose it was.</param>
    /// <param name="elapsed">Its time.</param>
    public void Spend(bool isSecond, TimeSpan elapsed) => _balance += isSecond ? elapsed.TotalSeconds : -elapsed.TotalSeconds;
}
