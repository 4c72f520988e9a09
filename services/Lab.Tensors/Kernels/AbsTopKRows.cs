using System.Numerics;
using Lab.Tensors.Kernels.Simd;

namespace Lab.Tensors.Kernels;

/// <summary>
/// AbsTopK of rows. The bit pattern of a non-negative float orders as the float does, so the threshold is sought among
/// integers, by counting how many magnitudes reach a guess. Rows of one activation are alike: the search starts at the
/// threshold of the row before with the spacing found there, and most rows end after three or four counts of data in the first-level cache.
/// </summary>
/// <param name="x">[rows, columns].</param>
/// <param name="y">Receives the result; null for the bitset alone.</param>
/// <param name="kept">Receives the bitset.</param>
/// <param name="columns">Entries in a row.</param>
/// <param name="k">Entries to keep in each row.</param>
/// <param name="failed">Receives the lowest index whose row is not finite. Null fills such a row with NaN instead.</param>
/// <param name="isMask">Whether y receives ones in place of the kept values.</param>
internal unsafe struct AbsTopKRows<TLanes, TFloat, TBits>(float* x, float* y, ulong* kept, int columns, int k, long* failed, bool isMask = false) : IRangeJob
    where TLanes : struct, ILanes<TFloat, TBits>
    where TFloat : struct
    where TBits : struct
{
    private const int NotFinite = 0x7F800000;

    private readonly float* _x = x;
    private readonly float* _y = y;
    private readonly ulong* _kept = kept;
    private readonly long* _failed = failed;

    public readonly void Run(int from, int to, int worker)
    {
        int words = (columns + 63) / 64;
        Search search = default;
        for (int row = from; row < to; row++)
        {
            float* source = _x + (long)row * columns;
            float* target = _y is null ? null : _y + (long)row * columns;
            ulong* bits = _kept + (long)row * words;
            int max = Max(source);
            if (max >= NotFinite && _failed is not null)
            {
                Fail((long)row * columns + FirstNotFinite(source));
                return;
            }

            if (max >= NotFinite)
            {
                new Span<ulong>(bits, words).Clear();
                new Span<float>(target, columns).Fill(float.NaN);
                continue;
            }

            (int threshold, int surplus) = search.Threshold(source, columns, k, max);
            Write(source, target, bits, threshold);
            if (surplus > 0) DropLastTies(source, target, bits, threshold, surplus);
        }
    }

    /// <summary>Remembers the lowest index that failed on any thread.</summary>
    private readonly void Fail(long index)
    {
        long seen = Volatile.Read(ref *_failed);
        while (index < seen)
        {
            long before = Interlocked.CompareExchange(ref *_failed, index, seen);
            if (before == seen) return;
            seen = before;
        }
    }

    private readonly int FirstNotFinite(float* row)
    {
        int i = 0;
        while (float.IsFinite(row[i])) i++;
        return i;
    }

    private readonly int Max(float* row)
    {
        TBits lanes = TLanes.BroadcastBits(0);
        int i = 0;
        for (; i <= columns - TLanes.Count; i += TLanes.Count) lanes = TLanes.Max(lanes, TLanes.Magnitude(TLanes.Load(row + i)));
        int max = TLanes.MaxOfLanes(lanes);
        for (; i < columns; i++) max = Math.Max(max, Lanes1.Magnitude(row[i]));
        return max;
    }

    private readonly void Write(float* source, float* target, ulong* bits, int threshold)
    {
        TBits bound = TLanes.BroadcastBits(threshold);
        TFloat one = TLanes.Broadcast(1);
        for (int start = 0; start < columns; start += 64)
        {
            int length = Math.Min(64, columns - start);
            ulong word = 0;
            int i = 0;
            for (; i <= length - TLanes.Count; i += TLanes.Count)
            {
                TFloat value = TLanes.Load(source + start + i);
                TBits magnitude = TLanes.Magnitude(value);
                word |= (ulong)TLanes.AtLeast(magnitude, bound) << i;
                if (target is not null) TLanes.Store(TLanes.KeepAtLeast(isMask ? one : value, magnitude, bound), target + start + i);
            }

            for (; i < length; i++)
            {
                float value = source[start + i];
                bool isKept = Lanes1.Magnitude(value) >= threshold;
                word |= (isKept ? 1UL : 0) << i;
                if (target is not null) target[start + i] = isKept ? isMask ? 1 : value : 0;
            }

            bits[start / 64] = word;
        }
    }

    /// <summary>Of the values at the threshold, which were all kept, gives up those of the highest indices.</summary>
    private readonly void DropLastTies(float* source, float* target, ulong* bits, int threshold, int surplus)
    {
        // In place, the source is the target: what is kept is still there.
        for (int word = (columns - 1) / 64; surplus > 0; word--)
        {
            for (ulong left = bits[word]; left != 0 && surplus > 0;)
            {
                int bit = 63 - BitOperations.LeadingZeroCount(left);
                left &= ~(1UL << bit);
                int column = word * 64 + bit;
                if (Lanes1.Magnitude(source[column]) != threshold) continue;
                bits[word] &= ~(1UL << bit);
                if (target is not null) target[column] = 0;
                surplus--;
            }
        }
    }

    /// <summary>The search for a row's threshold, with what it learned from the row before.</summary>
    private struct Search
    {
        private const int Octave = 1 << 23;

        private int _guess;
        private float _bitsPerEntry;

        /// <summary>
        /// The largest t such that at least k magnitudes reach t, or, where a gap lies below the k-th largest, any t of the
        /// gap that exactly k reach; and how many more than k reach it, which are ties.
        /// </summary>
        public (int Threshold, int Surplus) Threshold(float* row, int count, int k, int max)
        {
            if (k <= 0) return (int.MaxValue, 0);
            if (k >= count) return (0, 0);
            // Throughout, more than k values reach low, and fewer than k reach high.
            (int low, int above) = (0, count);
            (int high, int below) = (max + 1, 0);
            if (_bitsPerEntry == 0) (_guess, _bitsPerEntry) = (Math.Max(1, max - Octave), 2f * Octave / count);
            long next = _guess;
            float stride = _bitsPerEntry;
            for (int pass = 1; high - low > 1; pass++)
            {
                int candidate = (int)Math.Clamp(next, low + 1L, high - 1L);
                int reached = Count(row, count, candidate);
                if (reached == k)
                {
                    (_guess, _bitsPerEntry) = (candidate, Math.Clamp(_bitsPerEntry, 1f, Octave));
                    return (candidate, 0);
                }

                if (reached > k) (low, above) = (candidate, reached);
                else (high, below) = (candidate, reached);
                bool isBracketed = low > 0 && high <= max;
                if (isBracketed) _bitsPerEntry = (float)(high - low) / (above - below);
                next = pass switch
                {
                    // Many exact zeros: the threshold may be 0 itself.
                    4 when low == 0 => 1,
                    > 5 when pass % 2 == 0 => low + (high - low) / 2,
                    _ when isBracketed => high - (long)((double)(k - below) / (above - below) * (high - low)),
                    _ => candidate + (long)((reached - k) * (stride *= 2f)) + Math.Sign(reached - k),
                };
            }

            _guess = Math.Max(1, low);
            return (low, above - k);
        }

        private static int Count(float* row, int count, int candidate)
        {
            TBits bound = TLanes.BroadcastBits(candidate), counts = TLanes.BroadcastBits(0);
            int i = 0;
            for (; i <= count - TLanes.Count; i += TLanes.Count) counts = TLanes.CountAtLeast(counts, TLanes.Magnitude(TLanes.Load(row + i)), bound);
            int total = TLanes.SumOfLanes(counts);
            for (; i < count; i++) total += Lanes1.Magnitude(row[i]) >= candidate ? 1 : 0;
            return total;
        }
    }
}
