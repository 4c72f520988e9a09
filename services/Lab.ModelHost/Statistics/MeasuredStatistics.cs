using Lab.Models.Statistics;

namespace Lab.ModelHost.Statistics;

/// <summary>What was measured.</summary>
/// <param name="Statistics">One for each hook, in the order of the forward pass.</param>
/// <param name="Identity">See <see cref="StatisticsOrder"/>; "model" is the model's digest.</param>
/// <param name="Rows">Rows of tokens.</param>
/// <param name="Tokens">Tokens of these rows.</param>
/// <param name="FireCounts">For each intervention, how many hook visits it changed.</param>
/// <param name="EditFireCounts">For each weight edit, to how many tokens it applied.</param>
/// <param name="ComputeTime">Time on the model's thread.</param>
internal sealed record MeasuredStatistics(
    IReadOnlyList<ActivationStatistics> Statistics,
    IReadOnlyDictionary<string, string> Identity,
    long Rows,
    long Tokens,
    IReadOnlyList<long> FireCounts,
    IReadOnlyList<long> EditFireCounts,
    TimeSpan ComputeTime);
