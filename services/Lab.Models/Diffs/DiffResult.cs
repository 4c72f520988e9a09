namespace Lab.Models.Diffs;

/// <summary>What the comparison of two runs gave beside its tensors.</summary>
/// <param name="Divergences">For each row the mean of KL(clean || changed) of the model's predictions over its tokens; empty if none was asked for.</param>
/// <param name="Agreements">For each row the share of tokens whose likeliest next token is the same in both runs; empty if no divergence was asked for.</param>
/// <param name="FireCounts">For each intervention, how many hook visits it changed.</param>
/// <param name="EditFireCounts">For each weight edit, to how many tokens it applied.</param>
public sealed record DiffResult(IReadOnlyList<double> Divergences, IReadOnlyList<double> Agreements, IReadOnlyList<int> FireCounts, IReadOnlyList<int> EditFireCounts);
