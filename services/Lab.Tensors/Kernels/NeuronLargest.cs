using Lab.Tensors.Kernels.Simd;

namespace Lab.Tensors.Kernels;

/// <summary>The largest magnitudes of each neuron, in falling order: level 0 is the largest. Absent entries are -1.</summary>
internal static unsafe class NeuronLargest<TLanes, TFloat, TBits>
    where TLanes : struct, ILanes<TFloat, TBits>
    where TFloat : struct
    where TBits : struct
{
    private static uint AllLanes => (uint)((1UL << TLanes.Count) - 1);

    /// <summary>Of one row, for a neuron that is a row.</summary>
    /// <param name="row">The row's entries.</param>
    /// <param name="columns">How many.</param>
    /// <param name="levels">How many of the largest are wanted.</param>
    /// <param name="lanes">Room for <paramref name="levels"/> times 16.</param>
    /// <param name="largest">Receives level l at l times <paramref name="neurons"/>.</param>
    /// <param name="neurons">Neurons of the matrix.</param>
    public static void OfRow(float* row, int columns, int levels, int* lanes, int* largest, int neurons)
    {
        int width = TLanes.Count;
        new Span<int>(lanes, levels * width).Fill(-1);
        int i = 0;
        for (; i <= columns - width; i += width) Insert(TLanes.Magnitude(TLanes.Load(row + i)), lanes, width, levels);
        for (; i < columns; i++) InsertOne(Lanes1.Magnitude(row[i]), lanes, width, levels);

        // Each lane is in falling order: take the largest head, again and again.
        for (int level = 0; level < levels; level++)
        {
            int best = 0;
            for (int lane = 1; lane < width; lane++)
            {
                if (lanes[lane] > lanes[best]) best = lane;
            }

            largest[(long)level * neurons] = lanes[best];
            for (int next = 0; next < levels - 1; next++) lanes[next * width + best] = lanes[(next + 1) * width + best];
            lanes[(levels - 1) * width + best] = -1;
        }
    }

    /// <summary>Adds one row to the largest of each column, for neurons that are columns: level l of column c at l times columns plus c.</summary>
    public static void AddRow(float* row, int columns, int levels, int* largest)
    {
        int i = 0;
        for (; i <= columns - TLanes.Count; i += TLanes.Count) Insert(TLanes.Magnitude(TLanes.Load(row + i)), largest + i, columns, levels);
        for (; i < columns; i++) InsertOne(Lanes1.Magnitude(row[i]), largest + i, columns, levels);
    }

    /// <summary>Adds what another thread found for the same columns.</summary>
    public static void Merge(int* other, int columns, int levels, int* largest)
    {
        for (int level = 0; level < levels; level++)
        {
            int* row = other + (long)level * columns;
            int i = 0;
            for (; i <= columns - TLanes.Count; i += TLanes.Count) Insert(TLanes.LoadBits(row + i), largest + i, columns, levels);
            for (; i < columns; i++) InsertOne(row[i], largest + i, columns, levels);
        }
    }

    private static void Insert(TBits value, int* largest, int stride, int levels)
    {
        // After the first rows hardly anything is large enough.
        if (TLanes.AtLeast(TLanes.LoadBits(largest + (long)(levels - 1) * stride), value) == AllLanes) return;
        for (int level = 0; level < levels; level++)
        {
            int* place = largest + (long)level * stride;
            TBits present = TLanes.LoadBits(place);
            TLanes.StoreBits(TLanes.Max(present, value), place);
            value = TLanes.Min(present, value);
        }
    }

    private static void InsertOne(int value, int* largest, int stride, int levels)
    {
        for (int level = 0; level < levels; level++)
        {
            int* place = largest + (long)level * stride;
            int present = *place;
            *place = Math.Max(present, value);
            value = Math.Min(present, value);
        }
    }
}
