namespace Lab.Models.Gradients;

/// <summary>What a differentiated pass gave beside its tensors.</summary>
/// <param name="Objectives">The objective of each row.</param>
/// <param name="ZeroGradients">
/// The planned gradients, by index, that are zero in every element: what an intervention replaces later, or what comes after all that
/// the objective reads.
/// </param>
/// <param name="FireCounts">For each intervention, how many hook visits it changed.</param>
/// <param name="EditFireCounts">For each weight edit, to how many tokens it applied.</param>
public sealed record GradientResult(IReadOnlyList<double> Objectives, IReadOnlyList<int> ZeroGradients, IReadOnlyList<int> FireCounts, IReadOnlyList<int> EditFireCounts);
