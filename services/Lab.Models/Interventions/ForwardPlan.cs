namespace Lab.Models.Interventions;

/// <summary>What to change and capture in one pass over one batch, with everything checked before anything runs.</summary>
/// <param name="Batch">The tokens.</param>
/// <param name="Captures">In the order of the forward pass; at one hook in the order of the request.</param>
/// <param name="Interventions">In the order of the request.</param>
public sealed record ForwardPlan(TokenBatch Batch, IReadOnlyList<ResolvedSelection> Captures, IReadOnlyList<ResolvedIntervention> Interventions)
{
    /// <summary>Resolves selectors and checks values.</summary>
    /// <param name="hooks">The model's hooks.</param>
    /// <param name="batch">The tokens.</param>
    /// <param name="captures">What to capture, after the interventions at that hook.</param>
    /// <param name="interventions">What to change, in order.</param>
    /// <param name="prefix">What stands before "captures[0]" and "interventions[0]" in the paths of errors.</param>
    /// <param name="reach">The length that rows may still grow to in generation; 0 if they do not.</param>
    /// <param name="unmatched">
    /// Gets "captures[1].hook: reason" for each selector that matches nothing, which is then left out; if null, that is an error.
    /// </param>
    /// <exception cref="InvalidSelectionException">A selector matches no hook, or an index is out of range.</exception>
    /// <exception cref="ArgumentException">A value does not fit. ParamName is its path.</exception>
    public static ForwardPlan Resolve(
        HookCatalog hooks,
        TokenBatch batch,
        IReadOnlyList<ActivationSelector> captures,
        IReadOnlyList<Intervention> interventions,
        string prefix = "",
        int reach = 0,
        ICollection<string>? unmatched = null)
    {
        SelectionResolver resolver = new(hooks, batch.Lengths, reach);
        List<ResolvedSelection> selections = [];
        for (int i = 0; i < captures.Count; i++)
        {
            string field = $"{prefix}captures[{i}]";
            selections.AddRange(Try(() => resolver.Resolve(captures[i], field), prefix, unmatched) ?? []);
        }

        List<ResolvedIntervention> resolved = [];
        for (int i = 0; i < interventions.Count; i++)
        {
            string field = $"{prefix}interventions[{i}]";
            if (Try(() => ResolvedIntervention.Resolve(interventions[i], resolver, field), prefix, unmatched) is { } one) resolved.Add(one);
        }

        return new ForwardPlan(batch, [.. selections.OrderBy(selection => selection.Hook.Index)], resolved);
    }

    private static T? Try<T>(Func<T> resolve, string prefix, ICollection<string>? unmatched)
        where T : class
    {
        try
        {
            return resolve();
        }
        catch (InvalidSelectionException e) when (unmatched is not null)
        {
            unmatched.Add($"{e.ParamName![prefix.Length..]}: {e.Reason}");
            return null;
        }
    }
}
