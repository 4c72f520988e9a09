namespace Lab.Models.Interventions;

/// <summary>What to change and capture in one pass over one batch, with everything checked before anything runs.</summary>
public sealed class ForwardPlan
{
    private readonly IReadOnlyList<ResolvedSelection> _captures;

    private ForwardPlan(
        TokenBatch batch, IReadOnlyList<ResolvedSelection> captures, IReadOnlyList<ResolvedIntervention> interventions, IReadOnlyList<ResolvedWeightEdit> edits, bool isGeneration)
    {
        (Batch, _captures, Interventions, Edits) = (batch, captures, interventions, edits);
        Captures = isGeneration ? [.. captures.Where(capture => capture.TokenCount > 0)] : captures;
    }

    /// <summary>The tokens.</summary>
    public TokenBatch Batch { get; }

    /// <summary>In the order of the forward pass; at one hook in the order of the request. In generation those that have a token in this pass.</summary>
    public IReadOnlyList<ResolvedSelection> Captures { get; }

    /// <summary>In the order of the request.</summary>
    public IReadOnlyList<ResolvedIntervention> Interventions { get; }

    /// <summary>In the order of the request.</summary>
    public IReadOnlyList<ResolvedWeightEdit> Edits { get; }

    /// <summary>
    /// Whether the pass must have its rows twice, [clean rows; changed rows]: some intervention reads what the clean ones have. Captures
    /// and logits come from the second half.
    /// </summary>
    public bool NeedsTwin => Interventions.Any(one => one.NeedsTwin);

    /// <summary>Resolves selectors and checks values.</summary>
    /// <param name="hooks">The model's hooks.</param>
    /// <param name="batch">The tokens: whole rows, or with <paramref name="at"/> the one new token of each.</param>
    /// <param name="captures">What to capture, after the interventions at that hook.</param>
    /// <param name="interventions">What to change, in order.</param>
    /// <param name="prefix">What stands before "captures[0]" and "interventions[0]" in the paths of errors.</param>
    /// <param name="reach">The length that rows may still grow to in generation; 0 if they do not.</param>
    /// <param name="unmatched">
    /// Gets "captures[1].hook: reason" for each selector that matches nothing, which is then left out; if null, that is an error.
    /// </param>
    /// <param name="at">The step of decoding; null for a run, and for the prefill.</param>
    /// <param name="capturesField">The field of the captures, for errors.</param>
    /// <param name="edits">Weight edits; null for none.</param>
    /// <param name="parameters">The model's parameters; needed for edits.</param>
    /// <exception cref="InvalidSelectionException">A selector matches no hook, or an index is out of range.</exception>
    /// <exception cref="ArgumentException">A value does not fit. ParamName is its path.</exception>
    public static ForwardPlan Resolve(
        HookCatalog hooks,
        TokenBatch batch,
        IReadOnlyList<ActivationSelector> captures,
        IReadOnlyList<Intervention> interventions,
        string prefix = "",
        int reach = 0,
        ICollection<string>? unmatched = null,
        StepPosition? at = null,
        string capturesField = "captures",
        IReadOnlyList<WeightEdit>? edits = null,
        ParameterCatalog? parameters = null)
    {
        SelectionResolver resolver = new(hooks, batch, reach, at);
        List<ResolvedSelection> selections = [];
        for (int i = 0; i < captures.Count; i++)
        {
            string field = $"{prefix}{capturesField}[{i}]";
            selections.AddRange(Try(() => resolver.Resolve(captures[i], field, i), prefix, unmatched) ?? []);
        }

        List<ResolvedIntervention> resolved = [];
        for (int i = 0; i < interventions.Count; i++)
        {
            string field = $"{prefix}interventions[{i}]";
            if (Try(() => ResolvedIntervention.Resolve(interventions[i], resolver, field, i), prefix, unmatched) is { } one) resolved.Add(one);
        }

        IReadOnlyList<ResolvedWeightEdit> resolvedEdits = edits is { Count: > 0 } ? ResolveEdits(edits, parameters!, resolver, prefix, unmatched, selections, resolved) : [];
        bool isGeneration = reach > 0 || at is not null;
        ForwardPlan plan = new(batch, [.. selections.OrderBy(selection => selection.Hook.Index)], resolved, resolvedEdits, isGeneration);
        if (unmatched is not null && !isGeneration) plan.ReportEmpty(unmatched);
        return plan;
    }

    /// <summary>The plan of a step of decoding, from that of the prefill: nothing is checked again, and no hook is looked up.</summary>
    /// <param name="batch">The one new token of each row.</param>
    /// <param name="at">The step.</param>
    public ForwardPlan AtStep(TokenBatch batch, StepPosition at)
    {
        // Hooks of one selector share their tokens.
        Dictionary<TokenRule, TokenSelection> known = [];
        ResolvedSelection Move(ResolvedSelection selection)
        {
            if (!known.TryGetValue(selection.Rule, out TokenSelection? tokens)) known.Add(selection.Rule, tokens = selection.Rule.Select(batch, at));
            return selection.With(tokens);
        }

        return new ForwardPlan(
            batch,
            [.. _captures.Select(Move)],
            [.. Interventions.Select(one => one with { Selections = [.. one.Selections.Select(selection => Move(selection).Distinct())] })],
            [.. Edits.Select(edit => edit.AtStep(batch, at))],
            isGeneration: true);
    }

    private static List<ResolvedWeightEdit> ResolveEdits(
        IReadOnlyList<WeightEdit> edits,
        ParameterCatalog parameters,
        SelectionResolver resolver,
        string prefix,
        ICollection<string>? unmatched,
        IEnumerable<ResolvedSelection> captures,
        IEnumerable<ResolvedIntervention> interventions)
    {
        (HookPoint Hook, bool IsChanged)[] hooks =
            [.. captures.Select(capture => (capture.Hook, false)), .. interventions.SelectMany(one => one.Selections, (_, selection) => (selection.Hook, true))];
        List<ResolvedWeightEdit> resolved = [];
        for (int i = 0; i < edits.Count; i++)
        {
            string field = $"{prefix}weight_edits[{i}]";
            if (Try(() => ResolvedWeightEdit.Resolve(edits[i], parameters, resolver, field, i), prefix, unmatched) is not { } one) continue;
            one.RequireWholeHeads(hooks, field);
            resolved.Add(one);
        }

        return resolved;
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

    private void ReportEmpty(ICollection<string> unmatched)
    {
        foreach (ResolvedSelection capture in _captures.Where(capture => capture.TokenCount == 0).DistinctBy(capture => capture.Index))
            unmatched.Add($"captures[{capture.Index}]: no token is selected.");
        foreach (ResolvedIntervention one in Interventions.Where(one => one.Selections.All(selection => selection.TokenCount == 0)))
            unmatched.Add($"interventions[{one.Index}].selector: no token is selected.");
        foreach (ResolvedWeightEdit edit in Edits.Where(edit => edit.TokenCount == 0)) unmatched.Add($"weight_edits[{edit.Index}].tokens: no token is selected.");
    }
}
