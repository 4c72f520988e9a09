using Lab.Tensors;

namespace Lab.Models.Interventions;

/// <summary>Checks an operation's values against what is selected at one hook.</summary>
/// <param name="selection">Where, with tokens, heads and channels as they were asked for.</param>
/// <param name="resolver">The pass.</param>
/// <param name="field">The intervention's path, for errors: "interventions[0]".</param>
/// <param name="areValuesFinite">Whether the values' elements are checked already, at another hook.</param>
internal sealed class OperationChecks(ResolvedSelection selection, SelectionResolver resolver, string field, bool areValuesFinite)
{
    /// <summary>The most multiply-adds of making directions orthonormal: some seconds.</summary>
    private const long MaxDirectionWork = 1L << 31;

    private static readonly string[] SkipSites = ["hook_resid_post", "hook_attn_out", "hook_mlp_out"];

    private HookPoint Hook => selection.Hook;

    /// <summary>Whether tokens of later passes may be selected, so that values must fit those too.</summary>
    private bool IsDecoded => resolver.IsDecoding && selection.Rule.MayDecode(resolver.At?.Past ?? resolver.Batch.Lengths.Min());

    /// <summary>Checks an operation.</summary>
    /// <exception cref="ArgumentException">A value does not fit, or the operation makes no sense there.</exception>
    public void Require(InterventionOperation operation)
    {
        switch (operation)
        {
            case InterventionOperation.Set set:
                RequireValue(set.Value, $"{field}.set.value");
                break;
            case InterventionOperation.Add add:
                RequireAdd(add);
                break;
            case InterventionOperation.Scale scale:
                RequireFinite([scale.Factor], $"{field}.scale.factor");
                break;
            case InterventionOperation.Mean mean:
                RequireMean(mean.Value);
                break;
            case InterventionOperation.Patch patch:
                RequireSource(patch.SourceRow, $"{field}.patch.source_row");
                break;
            case InterventionOperation.Clamp clamp:
                RequireClamp(clamp);
                break;
            case InterventionOperation.Noise noise:
                RequireChannels("noise");
                RequireFinite([noise.Std], $"{field}.noise.std");
                if (noise.Std < 0) throw new ArgumentException($"A standard deviation is not negative, as {noise.Std} is.", $"{field}.noise.std");
                break;
            case InterventionOperation.ProjectOut project:
                RequireDirections(project.Directions, "project_out");
                break;
            case InterventionOperation.ProjectOnto project:
                RequireDirections(project.Directions, "project_onto");
                break;
            case InterventionOperation.SwapSubspace swap:
                RequireDirections(swap.Directions, "swap_subspace");
                RequireSource(swap.SourceRow, $"{field}.swap_subspace.source_row");
                break;
            case InterventionOperation.Freeze when IsDecoded:
                throw new ArgumentException("Generated tokens have no run without interventions beside them: freeze is for the prompt only, as PHASE_PREFILL selects it.", $"{field}.freeze");
            case InterventionOperation.Skip:
                RequireSkip();
                break;
        }
    }

    private void RequireValue(HostTensor value, string path)
    {
        RequireFloats(value, path, allowMasked: selection.IsAttention);
        long[] selected = [.. selection.ValueShape];
        bool fits = value.ElementCount == 1 || (value.Shape.Length <= selected.Length && selected.AsSpan(selected.Length - value.Shape.Length).SequenceEqual(value.Shape));
        if (!fits)
        {
            throw new ArgumentException(
                $"A value of shape {TensorShape.Format(value.Shape)} does not fit what is selected of {Hook.Name}, {TensorShape.Format(selected)}: "
                + "it must be one element, or have the last dimensions of that shape.",
                path);
        }

        if (value.ElementCount == 1) return;
        bool isByPosition = value.Shape.Length > (selection.IsAttention ? 1 : selected.Length - 2);
        if (isByPosition && selection.Tokens.HasDuplicates()) throw new ArgumentException($"Some token of {Hook.Name} is selected twice, with a value for each time.", path);
        if (selection.HasDuplicateChannels) throw new ArgumentException($"Some head or channel of {Hook.Name} is selected twice, with a value for each time.", path);
        if (!IsDecoded) return;
        if (selection.IsAttention) throw new ArgumentException($"The keys of {Hook.Name} grow with each generated token: only one element fits all of them.", path);
        if (isByPosition && !selection.Rule.HasFixedPlaces)
            throw new ArgumentException("There are values by position, but none for generated tokens: name the positions, or select the prompt only by PHASE_PREFILL.", path);
    }

    private void RequireAdd(InterventionOperation.Add add)
    {
        RequireValue(add.Value, $"{field}.add.value");
        RequireFinite([add.Coefficient], $"{field}.add.coefficient");
        if (add.Unit == StrengthUnit.Absolute) return;
        if (selection.IsAttention) throw new ArgumentException($"{Hook.Name} has no channels whose norm could be the unit.", $"{field}.add.unit");
        int channels = (int)selection.Shape[^1];
        if (add.Value.ElementCount == 1 && channels > 1) throw new ArgumentException("In units of a norm, a value has a direction: one element has none.", $"{field}.add.value");
        int step = add.Value.Shape.Length > selection.Shape.Count - 2 ? (int)add.Value.ElementCount : channels;
        for (int i = 0; i < add.Value.ElementCount; i += step)
        {
            if (!add.Value.Floats.Slice(i, step).ContainsAnyExcept(0)) throw new ArgumentException("A value of length 0 cannot be brought to length 1.", $"{field}.add.value");
        }
    }

    private void RequireMean(HostTensor? value)
    {
        RequireChannels("mean");
        if (value is null)
        {
            if (IsDecoded) throw new ArgumentException("A generated token has no batch to take means of: give the means, or select the prompt only by PHASE_PREFILL.", $"{field}.mean.value");
            return;
        }

        RequireFloats(value, $"{field}.mean.value");
        long channels = selection.Shape[^1], all = Hook.HasHeads ? channels * selection.Shape[^2] : channels;
        if (value.ElementCount != channels && value.ElementCount != all)
            throw new ArgumentException($"{value.ElementCount} means do not fit {Hook.Name}, of which {all} channels are selected.", $"{field}.mean.value");
        if (selection.HasDuplicateChannels) throw new ArgumentException($"Some head or channel of {Hook.Name} is selected twice.", $"{field}.mean.value");
    }

    private void RequireClamp(InterventionOperation.Clamp clamp)
    {
        if (clamp is { Min: null, Max: null }) throw new ArgumentException("At least one bound is required.", $"{field}.clamp");
        if (clamp.Min is { } min) RequireFinite([min], $"{field}.clamp.min");
        if (clamp.Max is { } max) RequireFinite([max], $"{field}.clamp.max");
        if (clamp.Max < clamp.Min) throw new ArgumentException($"The greatest value, {clamp.Max}, is below the least, {clamp.Min}.", $"{field}.clamp.max");
    }

    private void RequireDirections(HostTensor directions, string operation)
    {
        RequireChannels(operation);
        string path = $"{field}.{operation}.directions";
        RequireFloats(directions, path);
        long channels = selection.Shape[^1];
        long count = directions.Shape.Length == 2 ? directions.Shape[0] : 1;
        if (directions.Shape.Length is not (1 or 2) || directions.Shape[^1] != channels || count < 1 || count > channels)
        {
            throw new ArgumentException(
                $"Directions of shape {TensorShape.Format(directions.Shape)} do not fit {Hook.Name}: [k, {channels}] for its {channels} selected channels, with k from 1 to {channels}.", path);
        }

        if (count * count * channels > MaxDirectionWork)
            throw new ArgumentException($"{count} directions of {channels} channels are too many: at most {(long)Math.Sqrt((double)MaxDirectionWork / channels)} can be made orthonormal.", path);
        if (selection.HasDuplicateChannels) throw new ArgumentException($"Some channel of {Hook.Name} is selected twice.", path);
    }

    private void RequireSkip()
    {
        if (Hook.Layer < 0 || !SkipSites.Any(site => Hook.Name.EndsWith($".{site}", StringComparison.Ordinal)))
            throw new ArgumentException($"{Hook.Name} is none of the hooks that a component can be skipped at: {string.Join(", ", SkipSites)}.", $"{field}.skip");
        if (selection.HasChannels) throw new ArgumentException("A component is skipped as a whole, not some channels of it.", $"{field}.selector.channels");
    }

    private void RequireChannels(string operation)
    {
        if (selection.IsAttention) throw new ArgumentException($"{Hook.Name} has no channels: its last dimension is the key position.", $"{field}.{operation}");
    }

    private void RequireSource(int row, string path)
    {
        resolver.RequireRow(row, path, Hook.Name);
        TokenSelection tokens = selection.Tokens;
        int length = tokens.Past + resolver.Batch.Lengths[row];
        for (int i = 0; i < tokens.Rows.Count; i++)
        {
            for (int j = 0; j < tokens.CountOf(i); j++)
            {
                if (tokens.PositionAt(i, j) >= length)
                {
                    throw new ArgumentException(
                        $"Position {tokens.PositionAt(i, j)} of row {tokens.Rows[i]} has no counterpart in source row {row}, which has {length} tokens ({Hook.Name}).", path);
                }
            }
        }
    }

    private void RequireFloats(HostTensor value, string path, bool allowMasked = false)
    {
        if (value.DataType != TensorDataType.Float32) throw new ArgumentException($"A value must be FP32, not {value.DataType}.", path);
        if (!areValuesFinite) RequireFinite(value.Floats, path, allowMasked);
    }

    /// <summary>Captured scores have minus infinity above the diagonal, and it is how a score takes an edge out.</summary>
    private static void RequireFinite(ReadOnlySpan<float> values, string path, bool allowMasked = false)
    {
        for (int i = 0; i < values.Length; i++)
        {
            if (!float.IsFinite(values[i]) && !(allowMasked && float.IsNegativeInfinity(values[i]))) throw new ArgumentException($"Element {i} is {values[i]}: values must be finite.", path);
        }
    }
}
