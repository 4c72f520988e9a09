using Lab.Tensors.Kernels.Simd;

namespace Lab.Tensors.Kernels;

/// <summary>
/// The update and projection of one matrix in memory. What each neuron keeps by its floor is known from its largest entries;
/// the rest of the budget goes to the largest of all other entries. So the threshold is the value of a rank among all entries
/// less the protected ones, and counts by bits find it exactly, in whatever order the threads count.
/// </summary>
internal static unsafe class MatrixProjection<TLanes, TFloat, TBits>
    where TLanes : struct, ILanes<TFloat, TBits>
    where TFloat : struct
    where TBits : struct
{
    private const int EntriesPerPart = 1 << 15;

    /// <summary>Adam, if there is a gradient; then the projection, if it drops anything; then the decay of what stays.</summary>
    /// <param name="name">Names the matrix in errors.</param>
    /// <param name="matrix">The matrix.</param>
    /// <param name="adam">Adam's state. The factors' decay is applied only where nothing is projected.</param>
    /// <param name="decay">Multiplies what the projection keeps.</param>
    public static void Apply(string name, WeightMatrix matrix, AdamState adam, float decay)
    {
        int grain = Math.Max(1, EntriesPerPart / matrix.Columns);
        if (matrix.KeepsAll)
        {
            HostThreads.For(new UpdateJob<TLanes, TFloat, TBits>(matrix, adam, null, null, null), matrix.Rows, grain);
            return;
        }

        int workers = HostThreads.Count, levels = matrix.Floor + 1;
        const int BucketsPerWorker = MagnitudeHistogram.Copies * MagnitudeHistogram.Buckets;
        Scratch scratch = Scratch.OfThread;
        uint* buckets = scratch.Buckets(workers * (long)BucketsPerWorker);
        new Span<uint>(buckets, workers * BucketsPerWorker).Clear();
        long perNeuron = (long)levels * matrix.Neurons, ofColumns = matrix.Axis == NeuronAxis.Columns ? workers * perNeuron : perNeuron;
        int* largest = scratch.Largest(ofColumns + (long)workers * levels);
        if (matrix.Axis == NeuronAxis.Columns) new Span<int>(largest, checked((int)ofColumns)).Fill(-1);
        HostThreads.For(new UpdateJob<TLanes, TFloat, TBits>(matrix, adam, buckets, largest, largest + ofColumns), matrix.Rows, grain, workers);
        if (matrix.Axis == NeuronAxis.Columns)
        {
            for (int worker = 1; worker < workers; worker++) NeuronLargest<TLanes, TFloat, TBits>.Merge(largest + worker * perNeuron, matrix.Columns, levels, largest);
        }

        Sum(buckets, MagnitudeHistogram.Buckets, workers * MagnitudeHistogram.Copies);
        RequireFinite(name, matrix, buckets);
        (int threshold, long surplus) = Threshold(matrix, buckets, largest, workers, grain);
        int* bounds = scratch.OfNeurons(2L * matrix.Neurons);
        for (int neuron = 0; neuron < matrix.Neurons; neuron++)
        {
            bounds[neuron] = Math.Min(threshold, Math.Max(0, largest[(long)(matrix.Floor - 1) * matrix.Neurons + neuron]));
        }

        ProjectionTies.Drop(matrix, threshold, surplus, largest, bounds + matrix.Neurons);
        HostThreads.For(new EraseJob<TLanes, TFloat, TBits>(matrix, threshold, bounds, decay), matrix.Rows, grain);
    }

    /// <summary>The bits that the budget's last entry has, and by how many the unprotected entries that reach it exceed the budget: ties.</summary>
    private static (int Threshold, long Surplus) Threshold(WeightMatrix matrix, uint* buckets, int* largest, int workers, int grain)
    {
        long protectedCount = (long)matrix.Floor * matrix.Neurons;
        long rank = matrix.Kept - protectedCount;
        if (rank <= 0) return (int.MaxValue, 0);
        Subtract(largest, protectedCount, 31, 0, MagnitudeHistogram.Shift1, buckets);
        int prefix = Descend(buckets, MagnitudeHistogram.Buckets, ref rank);
        long reached = 0;
        uint* lower = Scratch.OfThread.LowerBuckets(workers * (long)MagnitudeHistogram.LowerBuckets);
        for (int prefixShift = MagnitudeHistogram.Shift1; prefixShift > 0;)
        {
            int shift = prefixShift == MagnitudeHistogram.Shift1 ? MagnitudeHistogram.Shift2 : 0;
            new Span<uint>(lower, workers * MagnitudeHistogram.LowerBuckets).Clear();
            HostThreads.For(new RefineJob<TLanes, TFloat, TBits>(matrix, prefixShift, prefix, shift, lower), matrix.Rows, grain, workers);
            Sum(lower, MagnitudeHistogram.LowerBuckets, workers);
            Subtract(largest, protectedCount, prefixShift, prefix, shift, lower);
            int bucket = Descend(lower, 1 << (prefixShift - shift), ref rank);
            prefix = (prefix << (prefixShift - shift)) | bucket;
            reached = lower[bucket];
            prefixShift = shift;
        }

        return (prefix, reached - rank);
    }

    /// <summary>The bucket in which the rank falls, counted from the top; the rank becomes one within the bucket.</summary>
    private static int Descend(uint* buckets, int size, ref long rank)
    {
        int bucket = size - 1;
        for (; bucket > 0 && buckets[bucket] < rank; bucket--) rank -= buckets[bucket];
        return bucket;
    }

    /// <summary>Takes the protected entries out of a count.</summary>
    private static void Subtract(int* largest, long count, int prefixShift, int prefix, int shift, uint* buckets)
    {
        int mask = (1 << (prefixShift - shift)) - 1;
        for (long i = 0; i < count; i++)
        {
            int magnitude = largest[i];
            if (magnitude >> prefixShift == prefix) buckets[(magnitude >> shift) & mask]--;
        }
    }

    /// <summary>Adds all the copies of a count to the first.</summary>
    private static void Sum(uint* buckets, int size, int copies)
    {
        for (int copy = 1; copy < copies; copy++)
        {
            int* other = (int*)buckets + (long)copy * size, sum = (int*)buckets;
            for (int i = 0; i < size; i += TLanes.Count) TLanes.StoreBits(TLanes.AddBits(TLanes.LoadBits(sum + i), TLanes.LoadBits(other + i)), sum + i);
        }
    }

    private static void RequireFinite(string name, WeightMatrix matrix, uint* buckets)
    {
        for (int bucket = MagnitudeHistogram.FirstNotFinite; bucket < MagnitudeHistogram.Buckets; bucket++)
        {
            if (buckets[bucket] == 0) continue;
            long index = 0;
            while (float.IsFinite(matrix.Values[index])) index++;
            throw SparseProjection.NotFinite(name, index, matrix.Values[index]);
        }
    }
}
