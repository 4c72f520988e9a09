using Microsoft.Extensions.Time.Testing;

namespace Lab.Testing;

/// <summary>
/// A clock on which nobody waits: whoever starts a wait of at most <paramref name="longest"/> moves the clock to its end. Longer ones,
/// such as deadlines, end when the clock gets there. It begins at the real time, so that deadlines told from it are none too early for
/// those who go by the real clock.
/// </summary>
/// <param name="longest">The longest wait that is spared.</param>
public sealed class ImpatientTime(TimeSpan longest) : FakeTimeProvider(DateTimeOffset.UtcNow)
{
    /// <summary>What the clock has moved since it was made.</summary>
    public TimeSpan Waited => GetUtcNow() - Start;

    /// <inheritdoc/>
    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        ITimer timer = base.CreateTimer(callback, state, dueTime, period);
        if (dueTime > TimeSpan.Zero && dueTime <= longest) _ = Task.Run(() => Advance(dueTime));
        return timer;
    }
}
