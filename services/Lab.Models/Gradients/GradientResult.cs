namespace Lab.Models.Gradients;

/// <summary>What a differentiated pass gave beside its tensors.</summary>
/// <param name="Objectives">The objective of each row.</param>
/// <param name="Unreached">
/// The planned gradients, by index, that are zero because the objective does not depend on what they are by at all: an intervention
/// after it replaces it whole, or the objective is read before it.
/// </param>
/// <param name="FireCounts">For each intervention, how many hook visits it changed.</param>
public sealed record GradientResult(IReadOnlyList<double> Objectives, IReadOnlyList<int> Unreached, IReadOnlyList<int> FireCounts);
