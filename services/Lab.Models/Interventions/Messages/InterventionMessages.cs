using Lab.Tensors;
using Case = Lab.Protos.ModelHost.V1.Intervention.OperationOneofCase;
using Proto = Lab.Protos.ModelHost.V1;

namespace Lab.Models.Interventions.Messages;

/// <summary>
/// Interventions and weight edits that came as messages. Tensors must be inline: what reads those of the store puts them there
/// first. What is wrong is an <see cref="ArgumentException"/> whose ParamName is the field's path.
/// </summary>
public static class InterventionMessages
{
    /// <summary>The most bytes that a tensor of a message may have once it is inline: 256 MiB.</summary>
    public const int MaxTensorBytes = 256 << 20;

    /// <summary>Interventions, at most 4096; each has a selector and an operation.</summary>
    /// <param name="interventions">The messages.</param>
    /// <param name="field">The path of the list, for errors.</param>
    public static IReadOnlyList<Intervention> ToCore(this IReadOnlyCollection<Proto.Intervention> interventions, string field)
    {
        SelectorMessages.RequireCount(interventions.Count, field);
        return [.. interventions.Select((intervention, i) => ToCore(intervention, $"{field}[{i}]"))];
    }

    /// <summary>Weight edits, at most 4096.</summary>
    /// <param name="edits">The messages.</param>
    /// <param name="field">The path of the list, for errors.</param>
    public static IReadOnlyList<WeightEdit> ToCore(this IReadOnlyCollection<Proto.WeightEdit> edits, string field)
    {
        SelectorMessages.RequireCount(edits.Count, field);
        return [.. edits.Select((edit, i) => ToCore(edit, $"{field}[{i}]"))];
    }

    /// <summary>One intervention.</summary>
    /// <param name="intervention">The message.</param>
    /// <param name="field">Its path, for errors.</param>
    public static Intervention ToCore(this Proto.Intervention intervention, string field)
    {
        if (intervention.Selector is null) throw new ArgumentException("A selector is required.", $"{field}.selector");
        InterventionOperation operation = intervention.OperationCase switch
        {
            Case.Set => new InterventionOperation.Set(Value(intervention.Set.Value, $"{field}.set.value")),
            Case.Add => new InterventionOperation.Add(
                Value(intervention.Add.Value, $"{field}.add.value"),
                intervention.Add.HasCoefficient ? intervention.Add.Coefficient : 1,
                ToCore(intervention.Add.Unit, $"{field}.add.unit")),
            Case.Scale => new InterventionOperation.Scale(intervention.Scale.Factor),
            Case.Zero => new InterventionOperation.Zero(),
            Case.Mean => new InterventionOperation.Mean(intervention.Mean.Value is null ? null : Value(intervention.Mean.Value, $"{field}.mean.value")),
            Case.Patch => new InterventionOperation.Patch(intervention.Patch.SourceRow),
            Case.Clamp => new InterventionOperation.Clamp(
                intervention.Clamp.HasMin ? intervention.Clamp.Min : null, intervention.Clamp.HasMax ? intervention.Clamp.Max : null),
            Case.Noise => new InterventionOperation.Noise(intervention.Noise.Std, intervention.Noise.Seed, ToCore(intervention.Noise.Unit, $"{field}.noise.unit")),
            Case.ProjectOut => new InterventionOperation.ProjectOut(Value(intervention.ProjectOut.Directions, $"{field}.project_out.directions")),
            Case.ProjectOnto => new InterventionOperation.ProjectOnto(Value(intervention.ProjectOnto.Directions, $"{field}.project_onto.directions")),
            Case.SwapSubspace => new InterventionOperation.SwapSubspace(
                Value(intervention.SwapSubspace.Directions, $"{field}.swap_subspace.directions"), intervention.SwapSubspace.SourceRow),
            Case.Freeze => new InterventionOperation.Freeze(),
            Case.Skip => new InterventionOperation.Skip(),
            _ => throw new ArgumentException("An operation is required, such as set or add.", field),
        };
        return new Intervention(intervention.Selector.ToCore($"{field}.selector"), operation, intervention.AllowUnfired);
    }

    private static WeightEdit ToCore(Proto.WeightEdit edit, string field) => new(edit.Parameter)
    {
        LowRank = edit.LowRank is null ? null : new LowRankDelta(Value(edit.LowRank.B, $"{field}.low_rank.b"), Value(edit.LowRank.A, $"{field}.low_rank.a")),
        Bias = edit.Bias is null ? null : Value(edit.Bias, $"{field}.bias"),
        Coefficient = edit.HasCoefficient ? edit.Coefficient : 1,
        Tokens = edit.Tokens?.ToCore($"{field}.tokens"),
        AllowUnfired = edit.AllowUnfired,
    };

    private static StrengthUnit ToCore(Proto.StrengthUnit unit, string field) => unit switch
    {
        Proto.StrengthUnit.Unspecified or Proto.StrengthUnit.Absolute => StrengthUnit.Absolute,
        Proto.StrengthUnit.ResidualNorm => StrengthUnit.ResidualNorm,
        _ => throw new ArgumentException($"{(int)unit} is no unit.", field),
    };

    private static HostTensor Value(Proto.TensorSource? value, string field) => value?.Inline is { } inline
        ? inline.ToHost($"{field}.inline", MaxTensorBytes)
        : throw new ArgumentException("A value is required.", field);
}
