using Lab.Models.Interventions;

namespace Lab.Models.Gradients;

/// <summary>A gradient that a pass gives.</summary>
/// <param name="Name">"grad/" and the name of the hook or parameter, or "interventions[0]".</param>
/// <param name="Shape">The dimensions, padding included.</param>
/// <param name="Target">The target that it belongs to, from 0.</param>
public sealed record PlannedGradient(string Name, IReadOnlyList<long> Shape, int Target)
{
    /// <summary>What is selected of an activation; null for another target.</summary>
    public ResolvedSelection? Selection { get; init; }

    /// <summary>The parameter's key; null for another target.</summary>
    internal string? Parameter { get; init; }

    /// <summary>The intervention's operand; null for another target.</summary>
    internal ResolvedOperand? Operand { get; init; }
}
