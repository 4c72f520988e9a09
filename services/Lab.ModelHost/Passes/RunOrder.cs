using Lab.ModelHost.Scheduling;
using Lab.Models.Interventions;
using Lab.Tensors;

namespace Lab.ModelHost.Passes;

/// <summary>What a run is asked for.</summary>
/// <param name="Batch">The tokens.</param>
/// <param name="Captures">What to capture.</param>
/// <param name="Interventions">What to change.</param>
/// <param name="Logits">Which logits to send.</param>
/// <param name="DataType">The type of what is sent: FP32, FP16 or BF16.</param>
/// <param name="Limits">What it may cost.</param>
/// <param name="Priority">When it gets its turn.</param>
/// <param name="Prefix">Where the run is in its request, for the paths of errors: "" or "run.".</param>
internal sealed record RunOrder(
    TokenBatch Batch,
    IReadOnlyList<ActivationSelector> Captures,
    IReadOnlyList<Intervention> Interventions,
    LogitsSelection Logits,
    TensorDataType DataType,
    RequestLimits Limits,
    WorkPriority Priority,
    string Prefix)
{
    /// <summary>Changes to parameters.</summary>
    public IReadOnlyList<WeightEdit> Edits { get; init; } = [];
}
