using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.Models.Interventions;

/// <summary>Applies interventions during one pass, those at one hook in the order given, and counts how often each fires.</summary>
public sealed class InterventionTap : IActivationTap
{
    private readonly IReadOnlyList<int> _lengths;
    private readonly Dictionary<int, List<Step>> _stepsByHook = [];
    private readonly int[] _fireCounts;

    /// <summary>A tap for one pass over one batch.</summary>
    /// <param name="interventions">The interventions, resolved for the batch.</param>
    /// <param name="lengths">Tokens in each row of the batch.</param>
    public InterventionTap(IReadOnlyList<ResolvedIntervention> interventions, IReadOnlyList<int> lengths)
    {
        _lengths = lengths;
        _fireCounts = new int[interventions.Count];
        for (int i = 0; i < interventions.Count; i++)
        {
            foreach (ResolvedSelection selection in interventions[i].Selections)
            {
                if (selection.TokenCount == 0) continue;
                if (!_stepsByHook.TryGetValue(selection.Hook.Index, out List<Step>? steps)) _stepsByHook.Add(selection.Hook.Index, steps = []);
                steps.Add(new Step(i, interventions[i].Source.Operation, selection));
            }
        }
    }

    /// <summary>For each intervention, how many hook visits it changed.</summary>
    public IReadOnlyList<int> FireCounts => _fireCounts;

    /// <inheritdoc/>
    public bool Wants(HookPoint hook) => _stepsByHook.ContainsKey(hook.Index);

    /// <inheritdoc/>
    public Tensor At(HookPoint hook, Tensor x)
    {
        using var scope = NewDisposeScope();
        Tensor current = x;
        foreach (Step step in _stepsByHook[hook.Index])
        {
            current = step.Selection.Replace(current, (selected, tokens) => Change(step, x, selected, tokens));
            _fireCounts[step.Intervention]++;
        }

        return ReferenceEquals(current, x) ? x : current.MoveToOuterDisposeScope();
    }

    /// <summary>What takes the place of the selected elements, [tokens, (heads,) channels].</summary>
    /// <param name="step">The intervention and where.</param>
    /// <param name="original">The activation as it was before any intervention at this hook.</param>
    /// <param name="selected">The selected elements as earlier interventions left them.</param>
    /// <param name="tokens">Their tokens in the flattened batch; null for all.</param>
    private Tensor Change(Step step, Tensor original, Tensor selected, long[]? tokens) => step.Operation switch
    {
        InterventionOperation.Set set => step.Selection.Broadcast(Operand(set.Value, original)),
        InterventionOperation.Add add => selected + (step.Selection.Broadcast(Operand(add.Value, original)) * add.Coefficient),
        InterventionOperation.Scale scale => selected * scale.Factor,
        InterventionOperation.Zero => zeros_like(selected),
        InterventionOperation.Mean { Value: { } value } => Means(Operand(value, original), selected),
        InterventionOperation.Mean => step.Selection.At(original, new TokenSelection(_lengths, null).PresentTokens().Tokens).mean([0], keepdim: true),
        InterventionOperation.Patch patch => step.Selection.At(original, SourceTokens(patch.SourceRow, tokens)),
        _ => throw new InvalidOperationException($"{step.Operation} is not an operation."),
    };

    private static Tensor Operand(HostTensor value, Tensor x) => value.ToTorch(x.device).to(x.dtype);

    /// <summary>Means, [channels] or [heads x channels], in the layout of what is selected.</summary>
    private static Tensor Means(Tensor means, Tensor selected) =>
        means.numel() == selected.shape[^1] ? means.view(-1) : means.view(selected.shape[1], selected.shape[2]);

    /// <summary>The source row's tokens at the positions of the given ones.</summary>
    private long[] SourceTokens(int sourceRow, long[]? tokens)
    {
        int length = _lengths.Max();
        IEnumerable<long> targets = tokens ?? Enumerable.Range(0, _lengths.Count * length).Select(token => (long)token);
        return [.. targets.Select(token => ((long)sourceRow * length) + (token % length))];
    }

    private sealed record Step(int Intervention, InterventionOperation Operation, ResolvedSelection Selection);
}
