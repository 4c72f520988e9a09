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
    private readonly bool _isStacked;

    /// <param name="position">The dimension of the positions.</param>
    /// <param name="key">The dimension of the keys' positions; -1 for none.</param>
    /// <param name="counts">What each row has of them.</param>
    /// <param name="isStacked">Whether there is a dimension before the rows, and <paramref name="counts"/> are those of all of it.</param>
    private RowLayout(int position, int key, (int, int)[] counts, bool isStacked = false) => (_position, _key, _counts, _isStacked) = (position, key, counts, isStacked);

    /// <summary>The layout of one value or vector for every position: logits.</summary>
    /// <param name="batch">The rows.</param>
    /// <param name="layers">The size of a dimension before the rows; null for none.</param>
    public static RowLayout OfRows(TokenBatch batch, int? layers = null) =>
        new(1, -1, [.. Enumerable.Repeat(batch.Lengths.Select(length => (length, 0)), layers ?? 1).SelectMany(counts => counts)], layers is not null);

    /// <summary>The layout of what is selected at a hook; null if it has no positions.</summary>
    /// <param name="selection">What is selected.</param>
    /// <param name="batch">The rows.</param>
    /// <param name="rank">The dimensions of the tensor: norms lack the selection's last one.</param>
    public static RowLayout? Of(ResolvedSelection selection, TokenBatch batch, int rank)
    {
        HookDimension[] dimensions = [.. selection.Hook.Dimensions];
        int position = Array.FindIndex(dimensions, dimension => dimension is HookDimension.Pos or HookDimension.QueryPos);
        return position < 0 ? null : new RowLayout(
            position,
            Array.IndexOf(dimensions, HookDimension.KeyPos, 0, rank),
            [.. selection.Positions.Select(row => (row.Positions.Count, batch.Lengths[row.Row]))]);
    }

    /// <summary>The tensor with its padding before the rows instead of after them.</summary>
    public HostTensor PadLeft(HostTensor tensor)
    {
        if (_isStacked)
        {
            long[] rows = [tensor.Shape[0] * tensor.Shape[1], .. tensor.Shape[2..]];
            return new HostTensor(tensor.Name, tensor.DataType, tensor.Shape, new RowLayout(_position, _key, _counts).PadLeft(new HostTensor(tensor.Name, tensor.DataType, rows, tensor.Data)).Data);
        }

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
