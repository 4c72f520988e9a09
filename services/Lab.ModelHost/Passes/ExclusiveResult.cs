namespace Lab.ModelHost.Passes;

/// <summary>What an <see cref="ExclusiveWork{T}"/> gave.</summary>
/// <param name="Value">What the job returned.</param>
/// <param name="QueueTime">The wait for the model's thread.</param>
/// <param name="ComputeTime">The job.</param>
/// <param name="Rows">Its rows.</param>
internal readonly record struct ExclusiveResult<T>(T Value, TimeSpan QueueTime, TimeSpan ComputeTime, int Rows)
{
    /// <summary>The same as a pass that nobody else was in.</summary>
    /// <param name="fireCounts">For each intervention, how many hook visits it changed.</param>
    /// <param name="editFireCounts">For each weight edit, to how many tokens it applied.</param>
    public PassResult ToPass(IReadOnlyList<int> fireCounts, IReadOnlyList<int> editFireCounts) =>
        new(fireCounts, QueueTime, ComputeTime, 1, Rows) { EditFireCounts = editFireCounts };
}
