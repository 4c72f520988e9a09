using Lab.Tensors;

namespace Lab.Models.Diffs;

/// <summary>A tensor that the comparison of two runs gives.</summary>
/// <param name="Name">"delta/", "norm/" or "relative_norm/" and the hook; "delta/logits", or "kl".</param>
/// <param name="Shape">The dimensions, padding included.</param>
/// <param name="DataType">The type of its elements.</param>
/// <param name="Capture">The capture that it belongs to, by its place in the plan; null for none.</param>
public sealed record PlannedDelta(string Name, IReadOnlyList<long> Shape, TensorDataType DataType, int? Capture);
