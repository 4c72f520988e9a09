using Lab.Models.Interventions;

namespace Lab.Models.Gradients;

/// <summary>What to differentiate by.</summary>
public abstract record GradientTarget
{
    private GradientTarget()
    {
    }

    /// <summary>Activations, after the interventions at their hooks.</summary>
    /// <param name="Selector">Which; each hook that it matches gives a gradient of the selected shape, zero in padding.</param>
    public sealed record Activation(ActivationSelector Selector) : GradientTarget;

    /// <summary>
    /// What an intervention was given: the value of set, add (which the coefficient multiplies) or mean, the factor of scale, the
    /// directions of projections and subspace swaps.
    /// </summary>
    /// <param name="Intervention">The intervention's number in the request, from 0.</param>
    public sealed record Operand(int Intervention) : GradientTarget;

    /// <summary>A parameter; weight edits are constants.</summary>
    /// <param name="Name">Its key.</param>
    public sealed record Parameter(string Name) : GradientTarget;
}
