using Lab.ServiceDefaults.Errors;

namespace Lab.ModelHost.Passes;

/// <summary>A request's time on the model's thread. Used on that thread only.</summary>
/// <param name="most">The most; zero for no limit.</param>
/// <param name="time">The clock.</param>
internal sealed class TimeBudget(TimeSpan most, TimeProvider time)
{
    /// <summary>The time of the passes that have ended.</summary>
    public TimeSpan Spent { get; private set; }

    /// <summary>Counts a pass.</summary>
    public void Add(TimeSpan elapsed) => Spent += elapsed;

    /// <summary>Requires that there is time left.</summary>
    /// <param name="started">When the pass that runs began, as a timestamp.</param>
    /// <exception cref="ResourceExhaustedException">There is none.</exception>
    public void Require(long started)
    {
        if (most > TimeSpan.Zero && Spent + time.GetElapsedTime(started) > most)
            throw Exceeded(most);
    }

    /// <summary>What a request fails with whose time is spent.</summary>
    public static ResourceExhaustedException Exceeded(TimeSpan most) =>
        new("TIME_BUDGET_EXCEEDED", $"The budget of {most.TotalMilliseconds} ms on the model's thread is spent.");
}
