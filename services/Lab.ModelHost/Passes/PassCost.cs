using Lab.Models;

namespace Lab.ModelHost.Passes;

/// <summary>What one forward pass costs.</summary>
internal static class PassCost
{
    /// <summary>Multiply-adds of the matrix products times two, padding included.</summary>
    public static long Flops(TransformerConfig config, int rows, int length)
    {
        long width = (long)config.NHeads * config.DHead, tokens = (long)rows * length;
        Int128 linear = ((Int128)4 * config.DModel * width) + ((Int128)2 * config.DModel * config.DMlp);
        Int128 attention = (Int128)2 * length * width;
        Int128 multiplyAdds = tokens * ((config.NLayers * (linear + attention)) + ((Int128)config.DModel * config.DVocab));
        return (long)Int128.Min(2 * multiplyAdds, long.MaxValue);
    }

    /// <summary>Bytes of the largest tensor that the pass makes, attention scores being there or not.</summary>
    public static long LargestTensorBytes(TransformerConfig config, int rows, int length, bool explicitAttention)
    {
        Int128 tokens = (Int128)rows * length;
        Int128 perToken = Math.Max(Math.Max(config.DVocab, config.DMlp), Math.Max(config.DModel, 3L * config.NHeads * config.DHead));
        if (explicitAttention) perToken = Int128.Max(perToken, (Int128)config.NHeads * (length + 1));
        return (long)Int128.Min(tokens * perToken * sizeof(float), long.MaxValue);
    }
}
