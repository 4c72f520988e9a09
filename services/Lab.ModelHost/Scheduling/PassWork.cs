using Lab.Models.Batching;
using TorchSharp;

namespace Lab.ModelHost.Scheduling;

/// <summary>A request as the scheduler sees it: one pass, or one after another. All but what is said otherwise is called on the model's thread.</summary>
/// <param name="priority">When it gets its turn.</param>
/// <param name="token">Ends it.</param>
internal abstract class PassWork(WorkPriority priority, CancellationToken token) : IDisposable
{
    /// <summary>When it gets its turn.</summary>
    public WorkPriority Priority => priority;

    /// <summary>Ends it: at once between passes, at the next hook in one.</summary>
    public CancellationToken Token => token;

    /// <summary>The next pass. Read on any thread.</summary>
    public abstract PassShape Shape { get; }

    /// <summary>Where it is; changed under the scheduler's gate.</summary>
    internal WorkState State { get; set; }

    /// <summary>Since when it waits for its turn, as a timestamp. Kept by its queue, as the next two.</summary>
    internal long ReadySince { get; set; }

    /// <summary>The same, with the head start of its priority.</summary>
    internal long UrgentSince { get; set; }

    /// <summary>Tells apart those that came at the same time.</summary>
    internal long Number { get; set; }

    /// <summary>Begins a pass.</summary>
    public abstract PassMember Begin(SharedPass pass);

    /// <summary>Takes what it wants of the pass's logits, inside of the pass's scope. Not called for a member that failed.</summary>
    public abstract void Accept(torch.Tensor? logits);

    /// <summary>Ends a pass, after its tensors are gone; with the last one it disposes itself before it tells who waits.</summary>
    /// <param name="failure">What ended the request; null if nothing did.</param>
    /// <param name="elapsed">The time that the pass took.</param>
    /// <returns>Whether there is another pass. Never after a failure.</returns>
    public abstract bool End(Exception? failure, TimeSpan elapsed);

    /// <summary>Tells who waits that it has ended between passes. On any thread.</summary>
    public abstract void Abandon(Exception reason);

    /// <summary>Frees what it holds. Called after <see cref="Abandon"/> too.</summary>
    public abstract void Dispose();
}

/// <summary>Where a <see cref="PassWork"/> is.</summary>
internal enum WorkState
{
    /// <summary>Before its first pass.</summary>
    Waiting,

    /// <summary>In a pass.</summary>
    Running,

    /// <summary>Between passes.</summary>
    Ready,

    /// <summary>Over.</summary>
    Ended,
}
