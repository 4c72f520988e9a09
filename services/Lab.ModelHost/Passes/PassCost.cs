using Lab.Models;
using Lab.Models.Interventions;

namespace Lab.ModelHost.Passes;

/// <summary>What one forward pass costs.</summary>
internal static class PassCost
{
    /// <summary>Multiply-adds of the matrix products times two, padding included.</summary>
    public static long Flops(TransformerConfig config, int rows, int length)
    {
        long width = (long)config.NHeads * config.DHead, shared = (long)config.KeyValueHeads * config.DHead, tokens = (long)rows * length;
        Int128 linear = ((Int128)config.DRead * (width + (2 * shared))) + ((Int128)config.DModel * width)
            + ((Int128)config.DMlp * ((config.DRead * (config.GatedMlp ? 2 : 1)) + config.DModel));
        Int128 attention = (Int128)2 * length * width;
        Int128 multiplyAdds = tokens * ((config.NLayers * (linear + attention)) + ((Int128)config.DModel * config.DVocab));
        return (long)Int128.Min(2 * multiplyAdds, long.MaxValue);
    }

    /// <summary>
    /// Bytes that a pass needs at a time beside the weights: the residual stream before and after a sublayer, and the largest tensor
    /// with what it is made of and what is made of it.
    /// </summary>
    public static long WorkingBytes(TransformerConfig config, int rows, int length, bool explicitAttention) => (long)Int128.Min(
        ((Int128)2 * rows * length * config.DModel * sizeof(float)) + ((Int128)3 * LargestTensorBytes(config, rows, length, explicitAttention)), long.MaxValue);

    /// <summary>Whether a pass makes tensors of queries times keys.</summary>
    public static bool HasScores(TransformerConfig config, ForwardPlan plan) => HasScores(config)
        || plan.Captures.Concat(plan.Interventions.SelectMany(one => one.Selections)).Any(selection => selection.Hook.Dimensions.Contains(HookDimension.KeyPos));

    /// <summary>Whether every pass makes tensors of queries times keys: a sink and a cap are no part of fused attention.</summary>
    public static bool HasScores(TransformerConfig config) => config.AttentionSink || config.AttentionSoftCap > 0;

    /// <summary>Bytes of the largest tensor that the pass makes, attention scores being there or not.</summary>
    public static long LargestTensorBytes(TransformerConfig config, int rows, int length, bool explicitAttention)
    {
        Int128 tokens = (Int128)rows * length;
        Int128 perToken = Math.Max(Math.Max(config.DVocab, config.DMlp), Math.Max(config.DModel, 3L * config.NHeads * config.DHead));
        if (explicitAttention) perToken = Int128.Max(perToken, (Int128)config.NHeads * (length + 1));
        return (long)Int128.Min(tokens * perToken * sizeof(float), long.MaxValue);
    }
}
