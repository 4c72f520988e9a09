using static TorchSharp.torch;

namespace Lab.Models.Interventions;

/// <summary>
/// Applies interventions during one pass, those at one hook in the order given, and counts how often each fires. Nothing is changed in
/// place, so that gradients flow through all of it. Used by one pass, on the model's thread.
/// </summary>
public sealed class InterventionTap : IActivationTap, IDisposable
{
    private readonly IReadOnlyList<int> _lengths;
    private readonly OperandSource? _operands;
    private readonly bool _hasTwin;
    private readonly Dictionary<int, List<Step>> _stepsByHook = [];
    private readonly HashSet<int> _skippedLayers = [];
    private readonly Dictionary<int, Tensor> _blockInputs = [];
    private readonly int[] _fireCounts;

    /// <summary>A tap for one pass over one batch.</summary>
    /// <param name="interventions">The interventions, resolved for the batch.</param>
    /// <param name="lengths">Tokens in each row of the batch, in this pass; the twin's rows not counted.</param>
    /// <param name="operands">Gives tensors in place of values; null for the values.</param>
    /// <param name="hasTwin">
    /// Whether the pass has the rows twice, [clean rows; changed rows]: then activations are [2 x rows, ...] and only the second half
    /// is changed. Must be true for a plan that <see cref="ForwardPlan.NeedsTwin"/>.
    /// </param>
    public InterventionTap(IReadOnlyList<ResolvedIntervention> interventions, IReadOnlyList<int> lengths, OperandSource? operands = null, bool hasTwin = false)
    {
        (_lengths, _operands, _hasTwin) = (lengths, operands, hasTwin);
        _fireCounts = new int[interventions.Count];
        for (int i = 0; i < interventions.Count; i++)
        {
            if (interventions[i].NeedsTwin && !hasTwin) throw new InvalidOperationException($"interventions[{interventions[i].Index}] needs a twin.");
            foreach (ResolvedSelection selection in interventions[i].Selections)
            {
                if (selection.TokenCount == 0) continue;
                if (!_stepsByHook.TryGetValue(selection.Hook.Index, out List<Step>? steps)) _stepsByHook.Add(selection.Hook.Index, steps = []);
                steps.Add(new Step(i, interventions[i], selection));
                if (interventions[i].Source.Operation is InterventionOperation.Skip && IsBlockOutput(selection.Hook)) _skippedLayers.Add(selection.Hook.Layer);
            }
        }
    }

    /// <summary>For each intervention, how many hook visits it changed.</summary>
    public IReadOnlyList<int> FireCounts => _fireCounts;

    /// <inheritdoc/>
    public bool Wants(HookPoint hook) => _stepsByHook.ContainsKey(hook.Index) || IsInputOfSkipped(hook);

    /// <inheritdoc/>
    public Tensor At(HookPoint hook, Tensor x)
    {
        using var scope = NewDisposeScope();
        int rows = _lengths.Count;
        if (x.shape[0] != (_hasTwin ? 2 * rows : rows)) throw new InvalidOperationException($"{hook.Name} has {x.shape[0]} rows where the plan has {rows}.");
        Tensor? clean = _hasTwin ? x.narrow(0, 0, rows) : null;
        Tensor original = _hasTwin ? x.narrow(0, rows, rows) : x, current = original;
        foreach (Step step in _stepsByHook.GetValueOrDefault(hook.Index) ?? [])
        {
            OperationMath math = new(step.Source, step.Selection, _lengths, _operands)
            {
                Original = original,
                Current = current,
                Clean = clean,
                BlockInput = IsBlockOutput(hook) ? _blockInputs.GetValueOrDefault(hook.Layer) : null,
            };
            current = step.Selection.Replace(current, math.Change);
            _fireCounts[step.Intervention]++;
        }

        if (IsBlockOutput(hook)) Forget(hook.Layer);
        if (IsInputOfSkipped(hook)) _blockInputs[hook.Layer] = current.alias().DetachFromDisposeScope();
        if (ReferenceEquals(current, original)) return x;
        return (clean is null ? current : cat([clean, current], 0)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (int layer in _blockInputs.Keys) Forget(layer);
    }

    private static bool IsBlockOutput(HookPoint hook) => hook.Layer >= 0 && hook.Name.EndsWith(".hook_resid_post", StringComparison.Ordinal);

    private bool IsInputOfSkipped(HookPoint hook) =>
        _skippedLayers.Count > 0 && _skippedLayers.Contains(hook.Layer) && hook.Name.EndsWith(".hook_resid_pre", StringComparison.Ordinal);

    private void Forget(int layer)
    {
        if (_blockInputs.Remove(layer, out Tensor? input)) input.Dispose();
    }

    private sealed record Step(int Intervention, ResolvedIntervention Source, ResolvedSelection Selection);
}
