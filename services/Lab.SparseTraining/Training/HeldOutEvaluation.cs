namespace Lab.SparseTraining.Training;

/// <summary>What an evaluation on the held-out split found.</summary>
/// <param name="Loss">Cross-entropy in nats per token.</param>
/// <param name="DeadNeurons">For each layer, MLP neurons that were zero at every position.</param>
/// <param name="ActivationFractions">Nonzero fraction of the activations at each kind of site.</param>
/// <param name="ResidualKurtosis">Kurtosis over the channels of the final residual, mean over positions.</param>
internal sealed record HeldOutEvaluation(
    double Loss, IReadOnlyList<int> DeadNeurons, IReadOnlyDictionary<string, double> ActivationFractions, double ResidualKurtosis);
