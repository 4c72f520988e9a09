using Lab.ModelHost.Scheduling;
using Lab.Models;
using Lab.Models.Gradients;

namespace Lab.ModelHost.Gradients;

/// <summary>What a differentiated pass needs in memory.</summary>
internal static class GradientCost
{
    /// <summary>What it is to the scheduler: going backward takes about twice the forward pass, and there may be a clean pass first.</summary>
    public static PassShape Shape(GradientPlan plan) => new(PassKind.Run, (plan.Forward.NeedsTwin ? 2 : 1) * plan.Forward.Batch.Count, plan.Forward.Batch.Length)
    {
        MorePasses = plan.NeedsClean ? 3 : 2,
    };

    /// <summary>
    /// Bytes of the activations that the graph keeps for the backward pass, and of the gradients; an estimate from above. Layers before
    /// the first target keep nothing.
    /// </summary>
    /// <param name="config">The model.</param>
    /// <param name="plan">The pass.</param>
    /// <param name="elementSize">Bytes of an element of the model.</param>
    public static long Bytes(TransformerConfig config, GradientPlan plan, int elementSize)
    {
        (int rows, int length) = ((plan.Forward.NeedsTwin ? 2 : 1) * plan.Forward.Batch.Count, plan.Forward.Batch.Length);
        Int128 heads = (Int128)config.NHeads * config.DHead, shared = (Int128)2 * config.KeyValueHeads * config.DHead;
        bool isSparse = config.ActivationFraction < 1;
        bool isExplicit = config.AttentionSink || config.AttentionSoftCap > 0 || plan.Hooks.Any(hook => hook.Dimensions.Contains(HookDimension.KeyPos));

        // Norms keep their input and output, in FP32 where the model is narrower; each product keeps its factors.
        Int128 residual = (Int128)config.DModel * ((config.SandwichNorms ? 14 : 8) + (isSparse ? 8 : 0)) * Math.Max(1, sizeof(float) / elementSize);
        Int128 attention = (heads + shared) * ((config.QkNorm ? 4 : 1) + (config.Rotary is null ? 0 : 3) + (isSparse ? 2 : 0)) + (3 * heads)
            + (config.HeadsPerKeyValue > 1 ? 2 * heads : 0);
        Int128 scores = isExplicit ? (Int128)config.NHeads * (length + 1) * (config.AttentionSoftCap > 0 ? 8 : 5) : 0;
        Int128 mlp = (Int128)config.DMlp * ((config.GatedMlp ? 4 : 2) + (isSparse ? 2 : 0));
        Int128 perHead = plan.Hooks.Any(hook => hook.IsOnRequest && !hook.Dimensions.Contains(HookDimension.KeyPos)) ? (Int128)8 * config.NHeads * config.DModel : 0;
        Int128 layers = (config.NLayers - plan.FirstLayer) * (residual + attention + scores + mlp + perHead) * rows * length;
        Int128 logits = (Int128)plan.LogitTokenCount * config.DVocab * (plan.NeedsClean ? 6 : 4);
        Int128 gradients = plan.Gradients.Aggregate((Int128)0, (sum, gradient) => sum + gradient.Shape.Aggregate((Int128)1, (product, size) => product * size));
        return (long)Int128.Min((layers + logits + gradients) * elementSize, long.MaxValue);
    }
}
