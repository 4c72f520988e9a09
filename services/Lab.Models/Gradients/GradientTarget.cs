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

    /// <summary>A parameter; weight edits are constants.</summary>
    /// <param name="Name">Its key.</param>
    public sealed record Parameter(string Name) : GradientTarget;
}
