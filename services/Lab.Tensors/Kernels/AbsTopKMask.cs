using Lab.Tensors.Kernels.Simd;

namespace Lab.Tensors.Kernels;

/// <summary>Copies of each row what a bitset keeps, and zeroes the rest.</summary>
internal unsafe struct AbsTopKMask<TLanes, TFloat, TBits>(float* source, ulong* kept, float* target, int columns) : IRangeJob
    where TLanes : struct, ILanes<TFloat, TBits>
    where TFloat : struct
    where TBits : struct
{
    private readonly float* _source = source;
    private readonly ulong* _kept = kept;
    private readonly float* _target = target;

    public readonly void Run(int from, int to, int worker)
    {
        int words = (columns + 63) / 64;
        for (int row = from; row < to; row++)
        {
            float* source = _source + (long)row * columns;
            float* target = _target + (long)row * columns;
            ulong* bits = _kept + (long)row * words;
            for (int start = 0; start < columns; start += 64)
            {
                int length = Math.Min(64, columns - start);
                ulong word = bits[start / 64];
                int i = 0;
                for (; i <= length - TLanes.Count; i += TLanes.Count)
                {
                    TLanes.Store(TLanes.Keep(TLanes.Load(source + start + i), (uint)(word >> i)), target + start + i);
                }

                for (; i < length; i++) target[start + i] = ((word >> i) & 1) != 0 ? source[start + i] : 0;
            }
        }
    }
}
