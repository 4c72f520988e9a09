namespace Lab.Tensors;

/// <summary>A <see cref="TensorWorker"/>'s queue was full, so that the job was not taken. Trying again later may succeed.</summary>
/// <param name="workerName">The worker's name.</param>
/// <param name="capacity">The number of jobs that its queue holds.</param>
public sealed class TensorWorkerBusyException(string workerName, int capacity)
    : Exception($"The queue of tensor worker '{workerName}' is full: {capacity} jobs are waiting. Try again later.")
{
    /// <summary>The worker's name.</summary>
    public string WorkerName { get; } = workerName;

    /// <summary>The number of jobs that its queue holds.</summary>
    public int Capacity { get; } = capacity;
}
