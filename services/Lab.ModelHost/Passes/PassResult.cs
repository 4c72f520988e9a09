namespace Lab.ModelHost.Passes;

/// <summary>What a pass gave.</summary>
/// <param name="FireCounts">For each intervention, how many hook visits it changed.</param>
/// <param name="QueueTime">The wait for the model's thread.</param>
/// <param name="ComputeTime">The forward pass, with its copies to host memory.</param>
/// <param name="Requests">Requests that shared the pass.</param>
/// <param name="Rows">Rows of all of them.</param>
internal sealed record PassResult(IReadOnlyList<int> FireCounts, TimeSpan QueueTime, TimeSpan ComputeTime, int Requests, int Rows)
{
    /// <summary>For each weight edit, to how many tokens it applied.</summary>
    public IReadOnlyList<int> EditFireCounts { get; init; } = [];
}
