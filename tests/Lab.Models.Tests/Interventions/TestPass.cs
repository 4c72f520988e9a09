using Lab.Models.Interventions;
using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.Models.Tests.Interventions;

/// <summary>One pass over any model, with a twin where the plan needs one.</summary>
internal static class TestPass
{
    public static PassResult Run(Transformer model, int[][] rows, ActivationSelector[] captures, params Intervention[] interventions)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        ForwardPlan plan = ForwardPlan.Resolve(model.Hooks, new TokenBatch(model.Config, rows), captures, interventions);
        CaptureTap taken = new(plan.Captures, hasTwin: plan.NeedsTwin);
        (HostTensor logits, IReadOnlyList<int> fired) = Run(model, plan, taken);
        return new PassResult(logits, taken.Tensors, fired);
    }

    /// <summary>The activation at one hook, [rows, pos, ...].</summary>
    public static HostTensor Capture(Transformer model, int[][] rows, string hook, params Intervention[] interventions) =>
        Run(model, rows, [new ActivationSelector(hook)], interventions).Captured[0];

    /// <summary>Logits under a plan, differentiable by what the operands are.</summary>
    public static Tensor Logits(Transformer model, ForwardPlan plan, OperandSource? operands = null)
    {
        using var scope = NewDisposeScope();
        using InterventionTap tap = new(plan.Interventions, plan.Batch.Lengths, operands, plan.NeedsTwin);
        Tensor logits = model.Forward((plan.NeedsTwin ? plan.Batch.Twice() : plan.Batch).ToTensor(model.Device), tap);
        return (plan.NeedsTwin ? logits.narrow(0, plan.Batch.Count, plan.Batch.Count) : logits).MoveToOuterDisposeScope();
    }

    private static (HostTensor Logits, IReadOnlyList<int> Fired) Run(Transformer model, ForwardPlan plan, CaptureTap taken)
    {
        using InterventionTap tap = new(plan.Interventions, plan.Batch.Lengths, hasTwin: plan.NeedsTwin);
        Tensor logits = model.Forward((plan.NeedsTwin ? plan.Batch.Twice() : plan.Batch).ToTensor(model.Device), new ForwardTap(tap, taken, TestContext.Current.CancellationToken));
        return ((plan.NeedsTwin ? logits.narrow(0, plan.Batch.Count, plan.Batch.Count) : logits).ToHost("logits"), tap.FireCounts);
    }
}
