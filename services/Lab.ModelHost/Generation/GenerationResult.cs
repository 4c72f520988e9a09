namespace Lab.ModelHost.Generation;

/// <summary>How a generation went.</summary>
/// <param name="Reason">Why it ended.</param>
/// <param name="Text">The generated text.</param>
/// <param name="FireCounts">For each intervention, how many hook visits it changed.</param>
/// <param name="EditFireCounts">For each weight edit, to how many tokens it applied.</param>
/// <param name="QueueTime">The wait for the first pass.</param>
/// <param name="ComputeTime">The passes.</param>
/// <param name="Requests">The most requests that shared a pass.</param>
internal sealed record GenerationResult(
    GenerationEnd Reason, string Text, IReadOnlyList<int> FireCounts, IReadOnlyList<int> EditFireCounts, TimeSpan QueueTime, TimeSpan ComputeTime, int Requests);

/// <summary>Why a generation ended.</summary>
internal enum GenerationEnd
{
    /// <summary>It has all the tokens that were asked for.</summary>
    MaxNewTokens,

    /// <summary>A stop token.</summary>
    StopToken,

    /// <summary>A stop text.</summary>
    StopText,
}
