using Lab.Tensors;

namespace Lab.Models.Interventions;

/// <summary>An intervention whose hooks, indices and values are checked for one batch.</summary>
/// <param name="Source">What was asked for.</param>
/// <param name="Selections">Where it applies: at least one hook, in the order of the forward pass. In a pass of a generation each may have no token.</param>
/// <param name="Index">Its number in the request.</param>
public sealed record ResolvedIntervention(Intervention Source, IReadOnlyList<ResolvedSelection> Selections, int Index)
{
    /// <summary>Resolves and checks an intervention.</summary>
    /// <param name="source">The intervention.</param>
    /// <param name="resolver">The batch and hooks.</param>
    /// <param name="field">Its path, for errors: "interventions[0]".</param>
    /// <param name="index">Its number in the request.</param>
    /// <exception cref="InvalidSelectionException">The selector matches nothing or an index is out of range.</exception>
    /// <exception cref="ArgumentException">A value does not fit what is selected, or the operation makes no sense there.</exception>
    public static ResolvedIntervention Resolve(Intervention source, SelectionResolver resolver, string field, int index)
    {
        IReadOnlyList<ResolvedSelection> selections = resolver.Resolve(source.Selector, $"{field}.selector", index);
        foreach (ResolvedSelection selection in selections)
        {
            switch (source.Operation)
            {
                case InterventionOperation.Set set:
                    RequireValue(set.Value, selection, $"{field}.set.value");
                    break;
                case InterventionOperation.Add add:
                    RequireValue(add.Value, selection, $"{field}.add.value");
                    RequireFinite([add.Coefficient], $"{field}.add.coefficient");
                    break;
                case InterventionOperation.Scale scale:
                    RequireFinite([scale.Factor], $"{field}.scale.factor");
                    break;
                case InterventionOperation.Mean mean:
                    RequireMean(mean.Value, selection, $"{field}.mean");
                    break;
                case InterventionOperation.Patch patch:
                    RequireSource(patch.SourceRow, selection, resolver, $"{field}.patch.source_row");
                    break;
            }
        }

        return new ResolvedIntervention(source, [.. selections.Select(selection => selection.Distinct())], index);
    }

    private static void RequireValue(HostTensor value, ResolvedSelection selection, string field)
    {
        RequireFloats(value, field, allowMasked: selection.IsAttention);
        long[] selected = [.. selection.ValueShape];
        bool fits = value.ElementCount == 1 || (value.Shape.Length <= selected.Length && selected.AsSpan(selected.Length - value.Shape.Length).SequenceEqual(value.Shape));
        if (!fits)
        {
            throw new ArgumentException(
                $"A value of shape {TensorShape.Format(value.Shape)} does not fit what is selected of {selection.Hook.Name}, {TensorShape.Format(selected)}: "
                + "it must be one element, or have the last dimensions of that shape.",
                field);
        }

        if (value.ElementCount > 1 && value.Shape.Length == selected.Length && selection.Tokens.HasDuplicates())
        {
            throw new ArgumentException($"Some token of {selection.Hook.Name} is selected twice, with a value for each time.", field);
        }
    }

    private static void RequireMean(HostTensor? value, ResolvedSelection selection, string field)
    {
        if (selection.IsAttention) throw new ArgumentException($"{selection.Hook.Name} has no channels to take means of.", field);
        if (value is null) return;
        RequireFloats(value, $"{field}.value");
        long channels = selection.Shape[^1], all = selection.Hook.HasHeads ? channels * selection.Shape[^2] : channels;
        if (value.ElementCount != channels && value.ElementCount != all)
        {
            throw new ArgumentException(
                $"{value.ElementCount} means do not fit {selection.Hook.Name}, of which {all} channels are selected.", $"{field}.value");
        }
    }

    private static void RequireSource(int row, ResolvedSelection selection, SelectionResolver resolver, string field)
    {
        resolver.RequireRow(row, field, selection.Hook.Name);
        TokenSelection tokens = selection.Tokens;
        int length = tokens.Past + resolver.Batch.Lengths[row];
        for (int i = 0; i < tokens.Rows.Count; i++)
        {
            for (int j = 0; j < tokens.CountOf(i); j++)
            {
                if (tokens.PositionAt(i, j) >= length)
                {
                    throw new ArgumentException(
                        $"Position {tokens.PositionAt(i, j)} of row {tokens.Rows[i]} has no counterpart in source row {row}, which has {length} tokens ({selection.Hook.Name}).",
                        field);
                }
            }
        }
    }

    private static void RequireFloats(HostTensor value, string field, bool allowMasked = false)
    {
        if (value.DataType != TensorDataType.Float32) throw new ArgumentException($"A value must be FP32, not {value.DataType}.", field);
        RequireFinite(value.Floats, field, allowMasked);
    }

    /// <summary>Captured scores have minus infinity above the diagonal, and it is how a score takes an edge out.</summary>
    private static void RequireFinite(ReadOnlySpan<float> values, string field, bool allowMasked = false)
    {
        for (int i = 0; i < values.Length; i++)
        {
            if (!float.IsFinite(values[i]) && !(allowMasked && float.IsNegativeInfinity(values[i]))) throw new ArgumentException($"Element {i} is {values[i]}: values must be finite.", field);
        }
    }
}
