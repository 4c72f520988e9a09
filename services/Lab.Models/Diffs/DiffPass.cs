using Lab.Models.Interventions;
using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.Models.Diffs;

/// <summary>Runs a batch twice side by side, as it is and changed, and tells only how the two differ. Cancelled, it stops within a layer.</summary>
public static class DiffPass
{
    /// <summary>Runs the comparison.</summary>
    /// <param name="model">The model, on the thread that owns it.</param>
    /// <param name="plan">What to do.</param>
    /// <param name="send">Gets each tensor in the order of <see cref="DiffPlan.Tensors"/>, those of captures during the pass.</param>
    /// <param name="ct">Cancels it.</param>
    /// <exception cref="NonFiniteActivationException">An element of what is to be sent is not finite.</exception>
    public static DiffResult Run(Transformer model, DiffPlan plan, Action<HostTensor> send, CancellationToken ct = default)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        TokenBatch batch = plan.Forward.Batch;
        Tensor ids = batch.Twice().ToTensor(model.Device);
        WeightEdits? edits = plan.Forward.Edits.Count == 0 ? null : new WeightEdits(plan.Forward.Edits, batch.Count, hasTwin: true);
        using TouchedTokens touched = new(batch.Count, batch.Length, model.Device);
        TrackedEdits? tracked = edits is null ? null : new TrackedEdits(edits, touched);
        DivergenceMeter meter = new(model, batch, ids, touched, edits);
        using InterventionTap interventions = new(plan.Forward.Interventions, batch.Lengths, hasTwin: true);
        DiffTap tap = new(plan, model.Hooks, interventions, touched, plan.Options.Divergence == Divergence.LogitLens ? meter : null, send, ct);
        Tensor? logits = model.Forward(new ForwardInput(ids) { Logits = LogitsOf(plan, meter), Edits = tracked, StopAtLayer = LayersOf(plan, model.Hooks) }, tap);
        ct.ThrowIfCancellationRequested();
        if (plan.Options.Logits != DiffLogits.None) SendLogits(plan, logits!, meter, touched, send);
        if (plan.Options.Divergence == Divergence.None) return new DiffResult([], [], interventions.FireCounts, edits?.FireCounts ?? []);

        (float[] divergences, bool[] agreements) = meter.OfLogits(logits!);
        IReadOnlyList<float[]> layers = plan.Options.Divergence == Divergence.LogitLens ? [.. tap.Divergences, divergences] : [divergences];
        int size = batch.Count * batch.Length;
        float[] kl = new float[layers.Count * size];
        for (int layer = 0; layer < layers.Count; layer++) meter.Scatter(layers[layer], kl.AsSpan(layer * size, size));
        send(plan.Options.Divergence == Divergence.LogitLens
            ? HostTensor.FromFloats("kl", kl, layers.Count, batch.Count, batch.Length)
            : HostTensor.FromFloats("kl", kl, batch.Count, batch.Length));
        return new DiffResult(
            ByRow(batch, i => divergences[i]), ByRow(batch, i => agreements[i] ? 1 : 0), interventions.FireCounts, edits?.FireCounts ?? []);
    }

    private static LogitSelection LogitsOf(DiffPlan plan, DivergenceMeter meter)
    {
        if (plan.Options.Divergence != Divergence.None || plan.Options.Logits == DiffLogits.All) return new LogitSelection([.. meter.Tokens, .. meter.ChangedTokens]);
        if (plan.Options.Logits == DiffLogits.None) return LogitSelection.None;
        IReadOnlyList<long> changed = meter.ChangedTokens;
        int[] last = LastOf(plan.Forward.Batch);
        return new LogitSelection([.. last.Select(i => meter.Tokens[i]), .. last.Select(i => changed[i])]);
    }

    /// <summary>Each row's last token, as an index of those without padding.</summary>
    private static int[] LastOf(TokenBatch batch) => [.. batch.Lengths.Select((_, row) => batch.Lengths.Take(row + 1).Sum() - 1)];

    private static int? LayersOf(DiffPlan plan, HookCatalog hooks)
    {
        if (plan.Options.Divergence != Divergence.None || plan.Options.Logits != DiffLogits.None || plan.Forward.Edits.Count > 0) return null;
        HookPoint[] seen = [.. plan.Forward.Captures.Concat(plan.Forward.Interventions.SelectMany(one => one.Selections)).Select(selection => selection.Hook)];
        return seen.Any(hook => hook.Index > hooks.Blocks[^1].ResidPost.Index) ? hooks.Blocks.Count : seen.Select(hook => hook.Layer).DefaultIfEmpty(-1).Max() + 1;
    }

    private static void SendLogits(DiffPlan plan, Tensor logits, DivergenceMeter meter, TouchedTokens touched, Action<HostTensor> send)
    {
        using var scope = NewDisposeScope();
        TokenBatch batch = plan.Forward.Batch;
        long half = logits.shape[0] / 2;
        bool[] mask = touched.ToHost();
        int[] last = LastOf(batch);
        bool isLast = plan.Options.Logits == DiffLogits.Last, isPicked = isLast && plan.Options.Divergence == Divergence.None;
        IEnumerable<long> tokens = isPicked ? last.Select(i => meter.Tokens[i]) : meter.Tokens;
        Tensor isTouched = tensor([.. tokens.Select(token => mask[(int)token])], device: logits.device).unsqueeze(1);
        Tensor delta = (logits.narrow(0, half, half) - logits.narrow(0, 0, half)).masked_fill(isTouched.logical_not(), 0); // (N, V)
        if (isLast && !isPicked) delta = delta.index_select(0, tensor([.. last.Select(i => (long)i)], device: delta.device));
        if (!isLast)
        {
            delta = zeros(batch.Count * batch.Length, delta.shape[1], dtype: delta.dtype, device: delta.device)
                .index_copy(0, tensor([.. meter.Tokens], device: delta.device), delta).view(batch.Count, batch.Length, -1);
        }

        send(delta.ToFiniteHost("delta/logits", plan.DataType));
    }

    private static double[] ByRow(TokenBatch batch, Func<int, double> valueOf)
    {
        double[] means = new double[batch.Count];
        int next = 0;
        for (int row = 0; row < means.Length; row++)
        {
            for (int i = 0; i < batch.Lengths[row]; i++) means[row] += valueOf(next++) / batch.Lengths[row];
        }

        return means;
    }
}
