namespace Lab.ModelHost.Scheduling;

/// <summary>
/// A request as the scheduler sees it: one turn on the model's thread, or one after another. It is a <see cref="PassWork"/>, which may
/// share its turns, or a <see cref="SoloWork"/>. All but what is said otherwise is called on the model's thread.
/// </summary>
/// <param name="priority">When it gets its turn.</param>
/// <param name="token">Ends it.</param>
internal abstract class ModelWork(WorkPriority priority, CancellationToken token) : IDisposable
{
    /// <summary>When it gets its turn.</summary>
    public WorkPriority Priority => priority;

    /// <summary>Ends it: at once between turns, at the next hook in one.</summary>
    public CancellationToken Token => token;

    /// <summary>The next turn. Read on any thread.</summary>
    public abstract PassShape Shape { get; }

    /// <summary>Where it is; changed under the scheduler's gate.</summary>
    internal WorkState State { get; set; }

    /// <summary>Its place among those that <see cref="Token"/> tells of its end; kept by the scheduler.</summary>
    internal CancellationTokenRegistration Registration { get; set; }

    /// <summary>Since when it waits for its turn, as a timestamp. Kept by its queue, as the next two.</summary>
    internal long ReadySince { get; set; }

    /// <summary>The same, with the head start of its priority.</summary>
    internal long UrgentSince { get; set; }

    /// <summary>Tells apart those that came at the same time.</summary>
    internal long Number { get; set; }

    /// <summary>Ends a turn, after its tensors are gone; with the last one it disposes itself before it tells who waits.</summary>
    /// <param name="failure">What ended the request; null if nothing did.</param>
    /// <param name="elapsed">The time that the turn took.</param>
    /// <returns>Whether there is another turn. Never after a failure.</returns>
    public abstract bool End(Exception? failure, TimeSpan elapsed);

    /// <summary>Tells who waits that it has ended between turns, or that <see cref="End"/> failed. On any thread.</summary>
    public abstract void Abandon(Exception reason);

    /// <summary>Frees what it holds. Called after <see cref="Abandon"/> too.</summary>
    public abstract void Dispose();
}
