using Lab.Models;
using Lab.Tensors;

namespace Lab.ModelHost.OpenInference;

/// <summary>Puts what a run gave for rows without padding where the request has those rows. Padding is zero.</summary>
internal static class PaddedLayout
{
    /// <summary>The shape with the request's positions.</summary>
    public static long[] Shape(IReadOnlyList<long> shape, IReadOnlyList<HookDimension> dimensions, InferBatch batch) =>
        [.. shape.Select((size, i) => IsPosition(dimensions[i]) ? batch.Length : size)];

    /// <summary>Moves a tensor's rows.</summary>
    /// <param name="tensor">Dimension 0 is the batch; rows begin at position 0.</param>
    /// <param name="dimensions">What its dimensions are.</param>
    /// <param name="batch">Where the rows are in the request.</param>
    public static HostTensor Apply(HostTensor tensor, IReadOnlyList<HookDimension> dimensions, InferBatch batch)
    {
        if (batch.IsDense) return tensor;
        long[] shape = Shape(tensor.Shape, dimensions, batch);
        byte[] moved = new byte[shape.Aggregate((long)tensor.DataType.Size(), (product, size) => product * size)];
        // Whole runs of elements beyond the last dimension that counts positions.
        int last = Enumerable.Range(0, dimensions.Count).Last(i => IsPosition(dimensions[i]));
        int[] sizes = new int[shape.Length + 1], movedSizes = new int[shape.Length + 1];
        sizes[^1] = movedSizes[^1] = tensor.DataType.Size();
        for (int i = shape.Length - 1; i >= 0; i--)
        {
            sizes[i] = sizes[i + 1] * (int)tensor.Shape[i];
            movedSizes[i] = movedSizes[i + 1] * (int)shape[i];
        }

        for (int row = 0; row < batch.Tokens.Rows.Count; row++) Move(row, 1, row * sizes[1], row * movedSizes[1]);
        return new HostTensor(tensor.Name, tensor.DataType, shape, moved);

        void Move(int row, int dimension, int from, int to)
        {
            bool isPosition = IsPosition(dimensions[dimension]);
            int start = isPosition ? batch.Starts[row] : 0, count = isPosition ? batch.Tokens.Rows[row].Ids.Count : (int)shape[dimension];
            if (dimension == last)
            {
                tensor.Data.Span.Slice(from, count * sizes[dimension + 1]).CopyTo(moved.AsSpan(to + (start * movedSizes[dimension + 1])));
                return;
            }

            for (int i = 0; i < count; i++)
                Move(row, dimension + 1, from + (i * sizes[dimension + 1]), to + ((start + i) * movedSizes[dimension + 1]));
        }
    }

    private static bool IsPosition(HookDimension dimension) => dimension is HookDimension.Pos or HookDimension.QueryPos or HookDimension.KeyPos;
}
