using System.Numerics;
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
    /// <param name="list">Room for that many.</param>
    /// <param name="largest">Receives level l at l times <paramref name="neurons"/>.</param>
    /// <param name="neurons">Neurons of the matrix.</param>
    public static void OfRow(float* row, int columns, int levels, int* list, int* largest, int neurons)
    {
        int low = LowerBound(row, columns, levels, list);
        new Span<int>(list, levels).Fill(-1);
        TBits bound = TLanes.BroadcastBits(low);
        int i = 0;
        for (; i <= columns - TLanes.Count; i += TLanes.Count)
        {
            uint candidates = TLanes.AtLeast(TLanes.Magnitude(TLanes.Load(row + i)), bound);
            if (candidates == 0) continue;
            for (; candidates != 0; candidates &= candidates - 1) InsertOne(Lanes1.Magnitude(row[i + BitOperations.TrailingZeroCount(candidates)]), list, 1, levels);
            // With the list full, only what is larger than its last changes it.
            if (list[levels - 1] >= low) bound = TLanes.BroadcastBits(low = list[levels - 1] + 1);
        }

        for (; i < columns; i++) InsertOne(Lanes1.Magnitude(row[i]), list, 1, levels);
        for (int level = 0; level < levels; level++) largest[(long)level * neurons] = list[level];
    }

    /// <summary>A magnitude that at least <paramref name="levels"/> entries reach: lanes are disjoint, so that many lanes' largest will do.</summary>
    private static int LowerBound(float* row, int columns, int levels, int* list)
    {
        if (TLanes.Count < levels) return 0;
        TBits max = TLanes.BroadcastBits(0);
        for (int i = 0; i <= columns - TLanes.Count; i += TLanes.Count) max = TLanes.Max(max, TLanes.Magnitude(TLanes.Load(row + i)));
        int* lanes = stackalloc int[16];
        TLanes.StoreBits(max, lanes);
        new Span<int>(list, levels).Clear();
        for (int lane = 0; lane < TLanes.Count; lane++) InsertOne(lanes[lane], list, 1, levels);
        return list[levels - 1];
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
        if (value <= largest[(long)(levels - 1) * stride]) return;
        for (int level = 0; level < levels; level++)
        {
            int* place = largest + (long)level * stride;
            int present = *place;
            *place = Math.Max(present, value);
            value = Math.Min(present, value);
        }
    }
}
