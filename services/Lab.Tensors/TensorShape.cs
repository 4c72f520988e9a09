namespace Lab.Tensors;

/// <summary>The laws that every shape obeys: at most 8 dimensions, none negative, a byte count that fits in 64 bits.</summary>
public static class TensorShape
{
    /// <summary>The most dimensions that a tensor may have: 8.</summary>
    public const int MaxRank = 8;

    /// <summary>Multiplies the dimensions without overflow.</summary>
    /// <param name="shape">The dimensions, outermost first; empty for a scalar.</param>
    /// <param name="elementSize">The size of one element in bytes.</param>
    /// <param name="elementCount">The number of elements; 0 if the shape is refused.</param>
    /// <param name="error">What is wrong with the shape, as the end of a sentence; null if nothing is.</param>
    /// <returns>Whether the shape is lawful.</returns>
    public static bool TryCount(ReadOnlySpan<long> shape, int elementSize, out long elementCount, [System.Diagnostics.CodeAnalysis.NotNullWhen(false)] out string? error)
    {
        elementCount = 0;
        if (shape.Length > MaxRank)
        {
            error = $"has {shape.Length} dimensions; at most {MaxRank} are allowed";
            return false;
        }

        // The product of the non-zero dimensions must fit too: [2^40, 2^40, 0] is refused, as strides could not be computed.
        Int128 nonZero = 1;
        bool isEmpty = false;
        foreach (long dimension in shape)
        {
            if (dimension < 0)
            {
                error = $"has the negative dimension {dimension}";
                return false;
            }

            if (dimension == 0) isEmpty = true;
            else nonZero *= dimension;
            if (nonZero * elementSize > long.MaxValue)
            {
                error = $"{Format(shape)} has more bytes than 64 bits can count";
                return false;
            }
        }

        elementCount = isEmpty ? 0 : (long)nonZero;
        error = null;
        return true;
    }

    /// <summary>The shape as text, such as <c>[2, 64, 128]</c>.</summary>
    /// <param name="shape">The dimensions, outermost first.</param>
    /// <returns>The dimensions in brackets; <c>[]</c> for a scalar.</returns>
    public static string Format(ReadOnlySpan<long> shape) => $"[{string.Join(", ", shape.ToArray())}]";
}
