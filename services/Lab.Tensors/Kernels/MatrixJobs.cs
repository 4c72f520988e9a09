using Lab.Tensors.Kernels.Simd;

namespace Lab.Tensors.Kernels;

/// <summary>Adam's state of a matrix. Without it, a pass over the matrix only looks.</summary>
internal readonly unsafe struct AdamState(float* gradient, float* first, float* second, AdamFactors factors)
{
    public float* Gradient { get; } = gradient;

    public float* First { get; } = first;

    public float* Second { get; } = second;

    public AdamFactors Factors { get; } = factors;
}

/// <summary>
/// The first pass over a matrix: updates blocks that fit the first-level cache, and while they are there counts their
/// magnitudes and finds the largest of each neuron.
/// </summary>
internal readonly unsafe struct UpdateJob<TLanes, TFloat, TBits>(WeightMatrix matrix, AdamState adam, uint* buckets, int* largest, int* lists) : IRangeJob
    where TLanes : struct, ILanes<TFloat, TBits>
    where TFloat : struct
    where TBits : struct
{
    private const int EntriesPerBlock = 1 << 12;

    private readonly uint* _buckets = buckets;
    private readonly int* _largest = largest;
    private readonly int* _lists = lists;

    public void Run(int from, int to, int worker)
    {
        int rows = Math.Max(1, EntriesPerBlock / matrix.Columns);
        for (int row = from; row < to; row += rows) Block(row, Math.Min(to, row + rows), worker);
    }

    private void Block(int from, int to, int worker)
    {
        long start = (long)from * matrix.Columns;
        int count = matrix.Entries(from, to);
        if (adam.Gradient is not null)
        {
            AdamKernel<TLanes, TFloat, TBits>.Update(matrix.Values + start, adam.Gradient + start, adam.First + start, adam.Second + start, count, adam.Factors);
        }

        if (_buckets is null) return;
        MagnitudeHistogram.Add(matrix.Values + start, count, _buckets + (long)worker * MagnitudeHistogram.Copies * MagnitudeHistogram.Buckets);
        if (matrix.Floor == 0) return;
        int levels = matrix.Floor + 1;
        for (int row = from; row < to; row++)
        {
            if (matrix.Axis == NeuronAxis.Columns) NeuronLargest<TLanes, TFloat, TBits>.AddRow(matrix.Row(row), matrix.Columns, levels, _largest + (long)worker * levels * matrix.Columns);
            else NeuronLargest<TLanes, TFloat, TBits>.OfRow(matrix.Row(row), matrix.Columns, levels, _lists + (long)worker * levels, _largest + row, matrix.Rows);
        }
    }
}

/// <summary>A later count, of the entries that share the threshold's upper bits.</summary>
internal readonly unsafe struct RefineJob<TLanes, TFloat, TBits>(WeightMatrix matrix, int prefixShift, int prefix, int shift, uint* buckets) : IRangeJob
    where TLanes : struct, ILanes<TFloat, TBits>
    where TFloat : struct
    where TBits : struct
{
    private readonly uint* _buckets = buckets;

    public void Run(int from, int to, int worker)
    {
        uint* buckets = _buckets + worker * MagnitudeHistogram.LowerBuckets;
        for (int row = from; row < to; row++)
        {
            MagnitudeHistogram.AddWithin<TLanes, TFloat, TBits>(matrix.Row(row), matrix.Entries(row, row + 1), prefixShift, prefix, shift, buckets);
        }
    }
}

/// <summary>The last pass: zeroes what does not reach its bound, and decays the rest.</summary>
/// <param name="matrix">The matrix.</param>
/// <param name="threshold">The bound of entries without a neuron.</param>
/// <param name="bounds">The bound of each neuron's entries; unused without neurons.</param>
/// <param name="decay">Multiplies what is kept.</param>
internal readonly unsafe struct EraseJob<TLanes, TFloat, TBits>(WeightMatrix matrix, int threshold, int* bounds, float decay) : IRangeJob
    where TLanes : struct, ILanes<TFloat, TBits>
    where TFloat : struct
    where TBits : struct
{
    private readonly int* _bounds = bounds;

    public void Run(int from, int to, int worker)
    {
        for (int row = from; row < to; row++)
        {
            float* values = matrix.Row(row);
            int count = matrix.Entries(row, row + 1);
            if (matrix.Axis == NeuronAxis.Columns) EraseByColumn(values, count);
            else Erase(values, count, matrix.Axis == NeuronAxis.Rows ? _bounds[row] : threshold);
        }
    }

    private void Erase(float* values, int count, int bound)
    {
        TBits bounds = TLanes.BroadcastBits(bound);
        TFloat decays = TLanes.Broadcast(decay);
        int i = 0;
        for (; i <= count - TLanes.Count; i += TLanes.Count)
        {
            TFloat value = TLanes.Load(values + i);
            TLanes.Store(TLanes.Multiply(TLanes.KeepAtLeast(value, TLanes.Magnitude(value), bounds), decays), values + i);
        }

        for (; i < count; i++) values[i] = (Lanes1.Magnitude(values[i]) >= bound ? values[i] : 0) * decay;
    }

    private void EraseByColumn(float* values, int count)
    {
        TFloat decays = TLanes.Broadcast(decay);
        int i = 0;
        for (; i <= count - TLanes.Count; i += TLanes.Count)
        {
            TFloat value = TLanes.Load(values + i);
            TLanes.Store(TLanes.Multiply(TLanes.KeepAtLeast(value, TLanes.Magnitude(value), TLanes.LoadBits(_bounds + i)), decays), values + i);
        }

        for (; i < count; i++) values[i] = (Lanes1.Magnitude(values[i]) >= _bounds[i] ? values[i] : 0) * decay;
    }
}
