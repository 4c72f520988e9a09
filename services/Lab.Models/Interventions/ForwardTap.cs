using static TorchSharp.torch;

namespace Lab.Models.Interventions;

/// <summary>The one tap of a pass: stops it when it is cancelled, applies interventions, then captures.</summary>
/// <param name="interventions">Applied first.</param>
/// <param name="captures">See what the interventions left.</param>
/// <param name="ct">Checked at every hook.</param>
public sealed class ForwardTap(InterventionTap interventions, IActivationTap captures, CancellationToken ct) : IActivationTap
{
    /// <inheritdoc/>
    public bool Wants(HookPoint hook)
    {
        // The pass asks this at every hook, wanted or not: the one place that sees all of them.
        ct.ThrowIfCancellationRequested();
        return interventions.Wants(hook) || captures.Wants(hook);
    }

    /// <inheritdoc/>
    public Tensor At(HookPoint hook, Tensor x)
    {
        if (interventions.Wants(hook)) x = interventions.At(hook, x);
        return captures.Wants(hook) ? captures.At(hook, x) : x;
    }
}
