using Lab.Tensors;

namespace Lab.Models.Interventions;

/// <summary>What an <see cref="Intervention"/> does to each selected element x. A closed set: data, never code.</summary>
/// <remarks>
/// A value is FP32 and finite (minus infinity is allowed at attention hooks, to take an edge out), and is broadcast to the selected elements: one element, or trailing dimensions of the selected
/// shape [rows, positions, (heads,) channels] up to all of them. Where no positions are named, [positions] is the longest
/// row's length, and what falls on the padding of a shorter row is not used. Directions are FP32, [k, channels] of the selected
/// channels or [channels], and are orthonormalised; they must be linearly independent.
/// </remarks>
public abstract record InterventionOperation
{
    private InterventionOperation()
    {
    }

    /// <summary>x becomes the value.</summary>
    public sealed record Set(HostTensor Value) : InterventionOperation;

    /// <summary>x becomes x + coefficient x value.</summary>
    public sealed record Add(HostTensor Value, float Coefficient = 1, StrengthUnit Unit = StrengthUnit.Absolute) : InterventionOperation;

    /// <summary>x becomes factor x x.</summary>
    public sealed record Scale(float Factor) : InterventionOperation;

    /// <summary>x becomes 0.</summary>
    public sealed record Zero : InterventionOperation;

    /// <summary>
    /// x becomes its channel's mean: the value, [channels] or [heads x channels]; or, without one, the mean over the valid
    /// positions of all rows of the batch, before any intervention at the hook.
    /// </summary>
    public sealed record Mean(HostTensor? Value = null) : InterventionOperation;

    /// <summary>x becomes what another row has at the same hook, position and channel, before any intervention at the hook.</summary>
    public sealed record Patch(int SourceRow) : InterventionOperation;

    /// <summary>x is moved into an interval; null for no bound.</summary>
    public sealed record Clamp(float? Min, float? Max) : InterventionOperation;

    /// <summary>
    /// x becomes x + Gaussian noise of a standard deviation, which depends on seed, hook, row, position and channel alone; see
    /// <see cref="GaussianNoise"/>. In units of the residual norm, the root mean square of a token's noise is <paramref name="Std"/> times that of its activation.
    /// </summary>
    public sealed record Noise(float Std, long Seed, StrengthUnit Unit = StrengthUnit.Absolute) : InterventionOperation;

    /// <summary>A token's channels lose their components along directions.</summary>
    public sealed record ProjectOut(HostTensor Directions) : InterventionOperation;

    /// <summary>A token's channels keep only their components along directions.</summary>
    public sealed record ProjectOnto(HostTensor Directions) : InterventionOperation;

    /// <summary>A token's channels get their components along directions from another row, as that was before any intervention at the hook.</summary>
    public sealed record SwapSubspace(HostTensor Directions, int SourceRow) : InterventionOperation;

    /// <summary>x becomes what the same rows have there without any intervention or weight edit. Needs a twin: see <see cref="ForwardPlan.NeedsTwin"/>.</summary>
    public sealed record Freeze : InterventionOperation;

    /// <summary>The block's output becomes its input, or what a sublayer adds becomes 0. At hook_resid_post, hook_attn_out and hook_mlp_out only.</summary>
    public sealed record Skip : InterventionOperation;
}
