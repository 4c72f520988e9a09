namespace Lab.ModelHost.Scheduling;

/// <summary>A request that no other can share a turn with, such as a backward pass. Its <see cref="ModelWork.Shape"/> says so.</summary>
/// <param name="priority">When it gets its turn.</param>
/// <param name="token">Ends it.</param>
internal abstract class SoloWork(WorkPriority priority, CancellationToken token) : ModelWork(priority, token)
{
    /// <summary>Does the work, inside of a scope of its own.</summary>
    public abstract void Run(SharedPass pass);
}
