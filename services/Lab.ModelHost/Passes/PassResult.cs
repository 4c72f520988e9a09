using Lab.Tensors;

namespace Lab.ModelHost.Passes;

/// <summary>What a pass gave.</summary>
/// <param name="Tensors">Captured tensors in the order of the forward pass, then logits. Its reader takes them out.</param>
/// <param name="FireCounts">For each intervention, how many hook visits it changed.</param>
/// <param name="QueueTime">The wait for the model's thread.</param>
/// <param name="ComputeTime">The forward pass, with its copies to host memory.</param>
internal sealed record PassResult(Queue<HostTensor> Tensors, IReadOnlyList<int> FireCounts, TimeSpan QueueTime, TimeSpan ComputeTime);
