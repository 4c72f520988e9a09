using Lab.Tensors;

namespace Lab.Models.Interventions;

/// <summary>What an <see cref="Intervention"/> does to each selected element x. A closed set: data, never code.</summary>
/// <remarks>
/// A value is FP32 and finite (minus infinity is allowed at attention hooks, to take an edge out), and is broadcast to the selected elements: one element, or trailing dimensions of the selected
/// shape [rows, positions, (heads,) channels] up to all of them. Where no positions are named, [positions] is the longest
/// row's length, and what falls on the padding of a shorter row is not used.
/// </remarks>
public abstract record InterventionOperation
{
    private InterventionOperation()
    {
    }

    /// <summary>x becomes the value.</summary>
    public sealed record Set(HostTensor Value) : InterventionOperation;

    /// <summary>x becomes x + coefficient x value.</summary>
    public sealed record Add(HostTensor Value, float Coefficient = 1) : InterventionOperation;

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
}
