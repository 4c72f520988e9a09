using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Lab.Models.Statistics;

/// <summary>
/// A histogram of floats with logarithmic buckets, in the manner of DDSketch (Masson, Rim and Lee, VLDB 2019), both signs. Each octave is cut
/// into 2^m equal parts, so that a value's bucket is the upper bits of the value itself. An estimate is off by at most the fraction
/// 1 / (2^(m + 1) + 1) of the true value, or, where floats are denormal (below 2^-126), by at most 2^-(126 + m). Merging adds counts,
/// so it is exact, in any order.
/// </summary>
internal sealed class QuantileSketch
{
    /// <summary>The smallest and the largest relative error that can be asked for.</summary>
    public const double MinError = 0.0005, MaxError = 0.2;

    private const int Octaves = 512;                    // the bits of sign and exponent
    private const int MantissaBits = 23;
    private const short NoPage = -1;
    private const int DenormalOctave = 0, InfiniteOctave = 255, Sign = 256;

    // Shared by all sketches that hold nothing yet.
    private static readonly short[] NoPages = [.. Enumerable.Repeat(NoPage, Octaves)];

    private readonly int _bits;
    private short[] _pages = NoPages;
    private int[] _counts = [];
    private int _pageCount;

    /// <param name="bits">The buckets to an octave are two to this power.</param>
    public QuantileSketch(int bits) => _bits = bits;

    /// <summary>The memory that it holds, in bytes.</summary>
    public long SizeBytes => ((long)_counts.Length * sizeof(int)) + (_pageCount == 0 ? 0 : Octaves * sizeof(short));

    /// <summary>The smallest m for which the relative error is not above the given one.</summary>
    public static int BitsFor(double error)
    {
        int bits = 1;
        while (ErrorOf(bits) > error && bits < MantissaBits) bits++;
        return bits;
    }

    /// <summary>The relative error of estimates from buckets of 2^bits to an octave.</summary>
    public static double ErrorOf(int bits) => 1 / (Math.ScaleB(2, bits) + 1);

    /// <summary>Adds finite values that lie a stride apart.</summary>
    public void Add(ReadOnlySpan<float> values, int count, int stride)
    {
        ref float value = ref MemoryMarshal.GetReference(values);
        ref short pages = ref MemoryMarshal.GetArrayDataReference(_pages);
        ref int counts = ref MemoryMarshal.GetArrayDataReference(_counts);
        int bits = _bits, shift = MantissaBits - bits, mask = (1 << bits) - 1;
        if ((uint)((count - 1) * stride) >= (uint)values.Length) throw new ArgumentException("There are fewer values than that.", nameof(count));
        for (int i = 0; i < count; i++)
        {
            uint code = BitConverter.SingleToUInt32Bits(Unsafe.Add(ref value, i * stride));
            int page = Unsafe.Add(ref pages, (int)(code >> MantissaBits));
            if (page < 0)
            {
                page = AddPage((int)(code >> MantissaBits));
                pages = ref MemoryMarshal.GetArrayDataReference(_pages);
                counts = ref MemoryMarshal.GetArrayDataReference(_counts);
            }

            Unsafe.Add(ref counts, (page << bits) + ((int)(code >> shift) & mask))++;
        }
    }

    /// <summary>Adds the counts of another sketch with equal buckets.</summary>
    public void Merge(QuantileSketch other)
    {
        for (int octave = 0; octave < Octaves; octave++)
        {
            if (other._pages[octave] == NoPage) continue;
            Span<int> counts = Page(octave);
            ReadOnlySpan<int> added = other._counts.AsSpan(other._pages[octave] << _bits, 1 << _bits);
            for (int i = 0; i < added.Length; i++) counts[i] += added[i];
        }
    }

    /// <summary>Estimates the values at ranks: 0 is the smallest value's.</summary>
    /// <param name="ranks">Ascending, each below the number of values.</param>
    /// <param name="estimates">Gets one value for each.</param>
    public void AtRanks(ReadOnlySpan<long> ranks, Span<double> estimates)
    {
        long seen = 0;
        int next = 0;
        foreach (int octave in Ascending())
        {
            ReadOnlySpan<int> counts = _counts.AsSpan(_pages[octave] << _bits, 1 << _bits);
            for (int i = 0; i < counts.Length && next < ranks.Length; i++)
            {
                // Among negative values the larger magnitudes come first.
                int slot = octave >= Sign ? counts.Length - 1 - i : i;
                seen += counts[slot];
                for (; next < ranks.Length && ranks[next] < seen; next++) estimates[next] = Estimate(octave, slot);
            }
        }
    }

    /// <summary>The buckets that hold something: their numbers, ascending, and counts.</summary>
    public void CopyTo(List<int> codes, List<int> counts)
    {
        for (int octave = 0; octave < Octaves; octave++)
        {
            if (_pages[octave] == NoPage) continue;
            for (int slot = 0; slot < 1 << _bits; slot++)
            {
                int count = _counts[(_pages[octave] << _bits) + slot];
                if (count == 0) continue;
                codes.Add((octave << _bits) + slot);
                counts.Add(count);
            }
        }
    }

    /// <summary>Puts a count into a bucket by its number.</summary>
    /// <returns>False if no finite value belongs to such a bucket.</returns>
    public bool TrySet(int code, int count)
    {
        int octave = code >> _bits;
        if (octave is < 0 or >= Octaves || (octave & (Sign - 1)) == InfiniteOctave) return false;
        Page(octave)[code & ((1 << _bits) - 1)] = count;
        return true;
    }

    private Span<int> Page(int octave)
    {
        int page = _pages[octave] == NoPage ? AddPage(octave) : _pages[octave];
        return _counts.AsSpan(page << _bits, 1 << _bits);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private int AddPage(int octave)
    {
        if (_pageCount == 0) _pages = [.. NoPages];
        int needed = (_pageCount + 1) << _bits;
        if (_counts.Length < needed) Array.Resize(ref _counts, needed + (needed / 4 >> _bits << _bits));
        _pages[octave] = (short)_pageCount;
        return _pageCount++;
    }

    private IEnumerable<int> Ascending() =>
        Enumerable.Range(0, Sign).Select(i => Octaves - 1 - i).Concat(Enumerable.Range(0, Sign)).Where(octave => _pages[octave] != NoPage);

    private double Estimate(int octave, int slot)
    {
        int exponent = octave & (Sign - 1);
        double part = Math.ScaleB(1, -_bits), magnitude;
        if (exponent == DenormalOctave)
        {
            magnitude = slot == 0 ? 0 : Math.ScaleB((slot + 0.5) * part, -126);
        }
        else
        {
            // The harmonic mean of the edges has the same relative distance from both.
            double low = 1 + (slot * part), high = low + part;
            magnitude = Math.ScaleB(2 * low * high / (low + high), exponent - 127);
        }

        return octave >= Sign ? -magnitude : magnitude;
    }
}
