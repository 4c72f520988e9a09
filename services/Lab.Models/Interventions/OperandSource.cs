using static TorchSharp.torch;

namespace Lab.Models.Interventions;

/// <summary>Gives tensors in place of interventions' own values, such as leaves that gradients are asked for.</summary>
/// <param name="intervention">The intervention's number in the request.</param>
/// <param name="operand">"set.value", "add.value", "mean.value", "scale.factor" or "directions", of which projections need nothing but linear independence.</param>
/// <returns>A tensor of the value's shape (a scalar for a factor) on the model's device, of any floating type; null to take the value itself.</returns>
public delegate Tensor? OperandSource(int intervention, string operand);
