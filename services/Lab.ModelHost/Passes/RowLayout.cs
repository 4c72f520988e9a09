using Lab.Models;
using Lab.Models.Interventions;
using Lab.Tensors;

namespace Lab.ModelHost.Passes;

/// <summary>Where the rows of a sent tensor have elements. A pass gives them from position 0 on, zero in padding.</summary>
internal sealed class RowLayout
{
    private readonly int _position;
    private readonly int _key;
    private readonly (int Positions, int Keys)[] _counts;

    /// <param name="position">The dimension of the positions.</param>
    /// <param name="key">The dimension of the keys' positions; -1 for none.</param>
    /// <param name="counts">What each row has of them.</param>
    private RowLayout(int position, int key, (int, int)[] counts) => (_position, _key, _counts) = (position, key, counts);

    /// <summary>The layout of logits at all positions.</summary>
    public static RowLayout OfRows(TokenBatch batch) => new(1, -1, [.. batch.Lengths.Select(length => (length, 0))]);

    /// <summary>The layout of what is selected at a hook; null if it has no positions.</summary>
    public static RowLayout? Of(ResolvedSelection selection, TokenBatch batch)
    {
        HookDimension[] dimensions = [.. selection.Hook.Dimensions];
        int position = Array.FindIndex(dimensions, dimension => dimension is HookDimension.Pos or HookDimension.QueryPos);
        return position < 0 ? null : new RowLayout(
            position,
            Array.IndexOf(dimensions, HookDimension.KeyPos),
            [.. selection.Positions.Select(row => (row.Positions.Count, batch.Lengths[row.Row]))]);
    }

    /// <summary>The tensor with its padding before the rows instead of after them.</summary>
    public HostTensor PadLeft(HostTensor tensor)
    {
        if (_counts.All(count => count.Positions == tensor.Shape[_position] && (_key < 0 || count.Keys == tensor.Shape[_key]))) return tensor;
        byte[] moved = new byte[tensor.Data.Length];
        long[] strides = new long[tensor.Shape.Length];
        long size = tensor.DataType.Size();
        for (int i = strides.Length - 1; i >= 0; i--) (strides[i], size) = (size, size * tensor.Shape[i]);
        for (int row = 0; row < _counts.Length; row++) Move(row, 1, row * strides[0], row * strides[0]);
        return new HostTensor(tensor.Name, tensor.DataType, tensor.Shape, moved);

        void Move(int row, int dimension, long from, long to)
        {
            long all = tensor.Shape[dimension];
            long count = dimension == _position ? _counts[row].Positions : dimension == _key ? _counts[row].Keys : all;
            to += (all - count) * strides[dimension];
            if (dimension >= Math.Max(_position, _key))
            {
                tensor.Data.Span.Slice((int)from, (int)(count * strides[dimension])).CopyTo(moved.AsSpan((int)to));
                return;
            }

            for (long i = 0; i < count; i++) Move(row, dimension + 1, from + (i * strides[dimension]), to + (i * strides[dimension]));
        }
    }
}
