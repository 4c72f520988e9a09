using Lab.Models.Batching;
using TorchSharp;

namespace Lab.ModelHost.Scheduling;

/// <summary>A request whose turns are forward passes, which others may share.</summary>
/// <param name="priority">When it gets its turn.</param>
/// <param name="token">Ends it.</param>
internal abstract class PassWork(WorkPriority priority, CancellationToken token) : ModelWork(priority, token)
{
    /// <summary>Begins a pass.</summary>
    public abstract PassMember Begin(SharedPass pass);

    /// <summary>Takes what it wants of the pass's logits, inside of the pass's scope. Not called for a member that failed.</summary>
    public abstract void Accept(torch.Tensor? logits);
}
