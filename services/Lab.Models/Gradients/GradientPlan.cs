using Lab.Models.Interventions;

namespace Lab.Models.Gradients;

/// <summary>What to differentiate by what in one pass over one batch, with everything checked before anything runs.</summary>
public sealed record GradientPlan
{
    private readonly int _layers;
    private readonly int _lastBlockHook;

    private GradientPlan(HookCatalog hooks, ForwardPlan forward, ResolvedObjective objective, IReadOnlyList<PlannedGradient> gradients)
    {
        (Forward, Objective, Gradients) = (forward, objective, gradients);
        (_layers, _lastBlockHook) = (hooks.Blocks.Count, hooks.Blocks[^1].ResidPost.Index);
    }

    /// <summary>The batch, what to capture and what to change.</summary>
    public ForwardPlan Forward { get; }

    /// <summary>The gradients, in the order of the targets; those of one target in the order of the forward pass.</summary>
    public IReadOnlyList<PlannedGradient> Gradients { get; }

    /// <summary>The tokens whose logits the objective reads.</summary>
    public int LogitTokenCount => Objective.Tokens.Count;

    /// <summary>Whether a clean pass comes first.</summary>
    public bool NeedsClean => Objective.NeedsClean;

    /// <summary>The first layer that the graph may reach: 0 if a target is before all layers.</summary>
    public int FirstLayer => Gradients.Min(gradient =>
        gradient.Selection is { } selection ? LayerOf(selection) : gradient.Operand is { } operand ? operand.Intervention.Selections.Min(LayerOf) : 0);

    /// <summary>The hooks that something is read or changed at, with repetition.</summary>
    public IEnumerable<HookPoint> Hooks =>
    [
        .. Objective.Upstream.Select(one => one.Selection.Hook),
        .. Gradients.Select(gradient => gradient.Selection).OfType<ResolvedSelection>().Select(selection => selection.Hook),
        .. Forward.Captures.Select(selection => selection.Hook),
        .. Forward.Interventions.SelectMany(one => one.Selections).Select(selection => selection.Hook),
    ];

    internal ResolvedObjective Objective { get; }

    /// <summary>Resolves selectors and checks values.</summary>
    /// <param name="hooks">The model's hooks.</param>
    /// <param name="config">The model's sizes.</param>
    /// <param name="parameters">The model's parameters and their shapes.</param>
    /// <param name="forward">The batch, what to capture and what to change.</param>
    /// <param name="objective">What to differentiate.</param>
    /// <param name="targets">What to differentiate by; at least one.</param>
    /// <exception cref="InvalidSelectionException">A selector matches no hook, or an index is out of range.</exception>
    /// <exception cref="ArgumentException">A value does not fit. ParamName is its path.</exception>
    public static GradientPlan Resolve(
        HookCatalog hooks,
        TransformerConfig config,
        IReadOnlyDictionary<string, IReadOnlyList<long>> parameters,
        ForwardPlan forward,
        GradientObjective objective,
        IReadOnlyList<GradientTarget> targets)
    {
        if (targets.Count == 0) throw new ArgumentException("At least one target is required.", nameof(targets));
        SelectionResolver selections = new(hooks, forward.Batch);
        ResolvedObjective resolved = new ObjectiveResolver(config, forward.Batch, selections).Resolve(objective, nameof(objective));
        PlannedGradient[] gradients = [.. targets.SelectMany((target, i) => target switch
        {
            GradientTarget.Activation activation => selections.Resolve(activation.Selector, $"targets[{i}].activation")
                .Select(selection => new PlannedGradient($"grad/{selection.Hook.Name}", selection.Shape, i) { Selection = selection }),
            GradientTarget.Operand operand => [Operand(ResolvedOperand.Of(forward.Interventions, operand.Intervention, $"targets[{i}].operand"), i)],
            GradientTarget.Parameter parameter => [new PlannedGradient(
                $"grad/{parameter.Name}",
                parameters.GetValueOrDefault(parameter.Name) ?? throw new ArgumentException($"The model has no parameter '{parameter.Name}'.", $"targets[{i}].parameter"),
                i) { Parameter = parameter.Name }],
            _ => throw new ArgumentException($"{target} is no target.", $"targets[{i}]"),
        })];
        RequireOnePath(hooks, forward, gradients);
        RequireWholeHeads(forward, resolved, gradients);
        return new GradientPlan(hooks, forward, resolved, gradients);
    }

    private static PlannedGradient Operand(ResolvedOperand operand, int target) =>
        new($"grad/interventions[{operand.Intervention.Index}]", operand.Value.Shape, target) { Operand = operand };

    private int LayerOf(ResolvedSelection selection) => selection.Hook.Layer >= 0 ? selection.Hook.Layer : selection.Hook.Index > _lastBlockHook ? _layers : 0;

    /// <summary>
    /// Where heads read inputs of their own, the sublayer's common norm is computed beside the path: its gradient would lack their
    /// part.
    /// </summary>
    private static void RequireOnePath(HookCatalog hooks, ForwardPlan forward, IReadOnlyList<PlannedGradient> gradients)
    {
        HashSet<HookPoint> split = [.. gradients.Select(gradient => gradient.Selection?.Hook).OfType<HookPoint>(), .. forward.Interventions.SelectMany(one => one.Selections).Select(selection => selection.Hook)];
        foreach (PlannedGradient gradient in gradients.Where(gradient => gradient.Selection?.Hook.Layer >= 0))
        {
            HookPoint hook = gradient.Selection!.Hook;
            BlockHooks block = hooks.Blocks[hook.Layer];
            if (hook != block.Ln1.Scale && hook != block.Ln1.Normalized && hook != block.AttnRead) continue;
            if (new[] { block.AttnIn, block.QInput, block.KInput, block.VInput }.FirstOrDefault(input => input is not null && split.Contains(input)) is { } other)
            {
                throw new ArgumentException(
                    $"{other.Name} gives heads inputs of their own, so that {hook.Name} is not all that attention reads: ask for its gradient in another call.", $"targets[{gradient.Target}].activation.hook");
            }
        }
    }
    /// <summary>What is differentiated by is computed on its own path, like what is changed: there, heads would read the model's own matrices.</summary>
    private static void RequireWholeHeads(ForwardPlan forward, ResolvedObjective objective, IReadOnlyList<PlannedGradient> gradients)
    {
        (HookPoint Hook, bool IsChanged)[] hooks =
        [
            .. gradients.Select(gradient => gradient.Selection?.Hook).OfType<HookPoint>().Select(hook => (hook, true)),
            .. objective.Upstream.Select(one => (one.Selection.Hook, false)),
        ];
        foreach (ResolvedWeightEdit edit in forward.Edits) edit.RequireWholeHeads(hooks, $"weight_edits[{edit.Index}]");
    }
}
