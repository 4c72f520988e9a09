using Lab.Models.Interventions;
using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.Models.Diffs;

/// <summary>The tap of two runs side by side, [clean rows; changed rows]: changes the second half, and tells how it differs from the first.</summary>
/// <param name="plan">What to compare.</param>
/// <param name="hooks">The model's hooks.</param>
/// <param name="interventions">Applied first, to the second half.</param>
/// <param name="touched">The tokens that may differ.</param>
/// <param name="meter">Measures divergences; null for none by layer.</param>
/// <param name="send">Gets each tensor during the pass.</param>
/// <param name="ct">Checked at every hook.</param>
internal sealed class DiffTap(
    DiffPlan plan, HookCatalog hooks, InterventionTap interventions, TouchedTokens touched, DivergenceMeter? meter, Action<HostTensor> send, CancellationToken ct) : IActivationTap
{
    private readonly ILookup<int, ResolvedSelection> _captures = plan.Forward.Captures.ToLookup(selection => selection.Hook.Index);
    private readonly HashSet<int> _residuals = [.. hooks.Blocks.SelectMany(block => new[] { block.ResidMid.Index, block.ResidPost.Index })];
    private readonly HashSet<int> _measured = meter is null ? [] : [.. hooks.Blocks.SkipLast(1).Select(block => block.ResidPost.Index)];
    private readonly List<float[]> _divergences = [];

    /// <summary>The divergences of the layers but the last, in order, one value a token.</summary>
    public IReadOnlyList<float[]> Divergences => _divergences;

    /// <inheritdoc/>
    public bool Wants(HookPoint hook)
    {
        // The pass asks this at every hook, wanted or not: the one place that sees all of them.
        ct.ThrowIfCancellationRequested();
        return interventions.Wants(hook) || _captures.Contains(hook.Index) || _residuals.Contains(hook.Index);
    }

    /// <inheritdoc/>
    public Tensor At(HookPoint hook, Tensor x)
    {
        using var scope = NewDisposeScope();
        bool isAttention = hook.Dimensions[^1] == HookDimension.KeyPos;
        Tensor current = x;
        if (interventions.Wants(hook) || _residuals.Contains(hook.Index)) current = touched.Restore(x, isAttention);
        if (interventions.Wants(hook))
        {
            Tensor changed = interventions.At(hook, current);
            touched.Add(current, changed, isAttention);
            current = changed;
        }

        foreach (ResolvedSelection selection in _captures[hook.Index]) Send(hook, selection, current);
        if (_measured.Contains(hook.Index)) _divergences.Add(meter!.OfResidual(current));
        return ReferenceEquals(current, x) ? x : current.MoveToOuterDisposeScope();
    }

    private void Send(HookPoint hook, ResolvedSelection selection, Tensor x)
    {
        using var scope = NewDisposeScope();
        int rows = plan.Forward.Batch.Count;
        (Tensor clean, Tensor changed) = (Wide(x.narrow(0, 0, rows)), Wide(x.narrow(0, rows, rows)));
        // Equal infinities, where nothing may be attended to, do not differ.
        Tensor delta = selection.Gather(touched.Masked((changed - clean).masked_fill(changed.eq(clean), 0), selection.IsAttention));
        Tensor norm = linalg.vector_norm(delta, 2, [-1]);
        if (plan.Options.Parts.HasFlag(DeltaParts.Deltas))
        {
            Tensor told = plan.Options.MinNorm > 0 ? delta.masked_fill(norm.unsqueeze(-1) < plan.Options.MinNorm, 0) : delta;
            Send(told, $"delta/{hook.Name}", plan.DataType);
        }

        if (!plan.Options.Parts.HasFlag(DeltaParts.Norms)) return;
        Tensor reference = linalg.vector_norm(selection.Gather(clean.masked_fill(clean.isinf(), 0)), 2, [-1]);
        Send(norm, $"norm/{hook.Name}", TensorDataType.Float32);
        // What grew out of nothing grew as much as can be written down.
        Tensor relative = (norm / reference).masked_fill(norm.eq(0), 0).clamp(max: float.MaxValue);
        Send(relative, $"relative_norm/{hook.Name}", TensorDataType.Float32);
    }

    private void Send(Tensor x, string name, TensorDataType type) => send(x.ToFiniteHost(name, type));

    private static Tensor Wide(Tensor x) => x.dtype == ScalarType.Float64 ? x : x.to(ScalarType.Float32);
}
