using Lab.Models.Interventions;
using Lab.Tensors;

namespace Lab.Models.Gradients;

/// <summary>What an intervention was given, as something to differentiate by.</summary>
/// <param name="Intervention">The intervention.</param>
/// <param name="Name">The operand's name, as <see cref="OperandSource"/> has it.</param>
/// <param name="Value">The operand; a scalar for a factor.</param>
internal sealed record ResolvedOperand(ResolvedIntervention Intervention, string Name, HostTensor Value)
{
    /// <summary>Finds an intervention's operand.</summary>
    /// <param name="interventions">All interventions.</param>
    /// <param name="index">The intervention's number in the request.</param>
    /// <param name="field">The path of the number, for errors.</param>
    /// <exception cref="ArgumentException">There is no such intervention, or its operation has no operand.</exception>
    public static ResolvedOperand Of(IReadOnlyList<ResolvedIntervention> interventions, int index, string field)
    {
        ResolvedIntervention intervention = interventions.FirstOrDefault(one => one.Index == index)
            ?? throw new ArgumentException($"There is no intervention {index}: the request has {interventions.Count}, from 0.", field);
        return intervention.Source.Operation switch
        {
            InterventionOperation.Set set => new ResolvedOperand(intervention, "set.value", set.Value),
            InterventionOperation.Add add => new ResolvedOperand(intervention, "add.value", add.Value),
            InterventionOperation.Mean { Value: { } value } => new ResolvedOperand(intervention, "mean.value", value),
            InterventionOperation.Scale scale => new ResolvedOperand(intervention, "scale.factor", HostTensor.FromFloats("", [scale.Factor])),
            InterventionOperation.ProjectOut project => new ResolvedOperand(intervention, "directions", project.Directions),
            InterventionOperation.ProjectOnto project => new ResolvedOperand(intervention, "directions", project.Directions),
            InterventionOperation.SwapSubspace swap => new ResolvedOperand(intervention, "directions", swap.Directions),
            _ => throw new ArgumentException($"interventions[{index}] has no value to differentiate by: set, add, scale, mean with a value, projections and subspace swaps have one.", field),
        };
    }
}
