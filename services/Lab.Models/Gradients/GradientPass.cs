using System.Runtime.InteropServices;
using Lab.Models.Interventions;
using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.Models.Gradients;

/// <summary>
/// Runs a model forward and backward. The graph lives on the calling thread and is gone when the pass returns, whatever its end; the
/// model's parameters are as they were. Cancelled, a pass stops within a layer, forward and backward.
/// </summary>
public static class GradientPass
{
    /// <summary>Runs a pass.</summary>
    /// <param name="model">The model, on the thread that owns it.</param>
    /// <param name="plan">What to do.</param>
    /// <param name="type">The type of the tensors that are sent.</param>
    /// <param name="send">Gets each tensor: captures during the forward pass, then the gradients in the order of the plan.</param>
    /// <param name="ct">Cancels the pass.</param>
    /// <exception cref="NonFiniteActivationException">An objective, or an element of what is to be sent, is not finite.</exception>
    public static GradientResult Run(Transformer model, GradientPlan plan, TensorDataType type, Action<HostTensor> send, CancellationToken ct = default)
    {
        using var scope = NewDisposeScope();
        ForwardPlan forward = plan.Forward;
        bool hasTwin = forward.NeedsTwin;
        Tensor? clean = plan.NeedsClean ? Clean(model, plan, ct) : null;
        Dictionary<(int Intervention, string Name), Tensor> operands = plan.Gradients.Select(gradient => gradient.Operand).OfType<ResolvedOperand>()
            .DistinctBy(operand => operand.Intervention.Index)
            .ToDictionary(operand => (operand.Intervention.Index, operand.Name), operand => operand.Value.ToTorch(model.Device).to(WideType(model.ScalarType)).requires_grad_(true));

        using ParameterLeaves parameters = new(model.Weights, plan.Gradients.Select(gradient => gradient.Parameter).OfType<string>().ToHashSet());
        using InterventionTap interventions = new(forward.Interventions, forward.Batch.Lengths, (index, name) => operands.GetValueOrDefault((index, name)), hasTwin);
        HashSet<int> wanted = [.. plan.Gradients.Select(gradient => gradient.Selection).OfType<ResolvedSelection>().Select(selection => selection.Hook.Index)];
        using GraphCuts cuts = new();
        using GradientTap tap = new(
            interventions, wanted, plan.Objective.Upstream, forward.Batch.Count, hasTwin, new CaptureTap(forward.Captures, type, send, hasTwin), cuts, model.Hooks, ct);
        WeightEdits? edits = forward.Edits.Count == 0 ? null : new WeightEdits(forward.Edits, forward.Batch.Count, hasTwin);
        using var grad = enable_grad();
        ForwardInput input = new((hasTwin ? forward.Batch.Twice() : forward.Batch).ToTensor(model.Device))
        {
            Logits = new LogitSelection(hasTwin ? [.. plan.Objective.Tokens.Select(token => ((long)forward.Batch.Count * forward.Batch.Length) + token)] : plan.Objective.Tokens),
            StopAtLayer = LayersOf(plan, model.Hooks),
            Edits = edits,
        };
        Tensor? logits = model.Forward(input, tap);
        Tensor values = tap.Values ?? (logits is null ? zeros(forward.Batch.Count, device: model.Device) : plan.Objective.Values(Wide(logits), clean));
        ct.ThrowIfCancellationRequested();

        double[] objectives = Objectives(values);
        Tensor[] nodes = [.. plan.Gradients.Select(gradient =>
            gradient.Parameter is { } name ? parameters.Values[name]
            : gradient.Operand is { } operand ? operands[(operand.Intervention.Index, operand.Name)]
            : tap.Activations[gradient.Selection!.Hook.Index])];
        if (values.requires_grad) cuts.Backward(values, ct);
        List<int> zero = [];
        for (int i = 0; i < nodes.Length; i++)
        {
            ct.ThrowIfCancellationRequested();
            using var one = NewDisposeScope();
            Tensor gradient = nodes[i].grad ?? zeros_like(nodes[i].detach());
            // Where a query must not look there is no attention that could change.
            if (plan.Gradients[i].Selection is { } selection) gradient = selection.Gather(selection.IsAttention ? selection.ZeroUnseen(gradient) : gradient);
            if (gradient.count_nonzero().item<long>() == 0) zero.Add(i);
            send(gradient.ToFiniteHost(plan.Gradients[i].Name, type));
        }

        return new GradientResult(objectives, zero, interventions.FireCounts, edits?.FireCounts ?? []);
    }

    /// <summary>The logits of the same tokens without interventions: a constant.</summary>
    private static Tensor Clean(Transformer model, GradientPlan plan, CancellationToken ct)
    {
        using var noGrad = no_grad();
        ForwardInput input = new(plan.Forward.Batch.ToTensor(model.Device)) { Logits = new LogitSelection(plan.Objective.Tokens) };
        return Wide(model.Forward(input, new StopTap(ct))!);
    }

    /// <summary>The layers that must run: all of them for logits, else up to the last one that anybody looks at.</summary>
    private static int? LayersOf(GradientPlan plan, HookCatalog hooks)
    {
        if (plan.Objective.Tokens.Count > 0) return null;
        if (plan.Forward.Edits.Count > 0) return null;
        bool isBeyond = plan.Hooks.Any(hook => hook.Index > hooks.Blocks[^1].ResidPost.Index);
        return isBeyond ? hooks.Blocks.Count : plan.Hooks.Max(hook => hook.Layer) + 1;
    }

    private static double[] Objectives(Tensor values) =>
        [.. MemoryMarshal.Cast<byte, double>(values.ToFiniteHost("objectives", TensorDataType.Float64).Data.Span)];

    private static ScalarType WideType(ScalarType type) => type == ScalarType.Float64 ? type : ScalarType.Float32;

    private static Tensor Wide(Tensor x) => x.to(WideType(x.dtype));

    /// <summary>Looks at nothing, and stops a pass that is cancelled.</summary>
    private sealed class StopTap(CancellationToken ct) : IActivationTap
    {
        public bool Wants(HookPoint hook)
        {
            ct.ThrowIfCancellationRequested();
            return false;
        }

        public Tensor At(HookPoint hook, Tensor x) => x;
    }
}
