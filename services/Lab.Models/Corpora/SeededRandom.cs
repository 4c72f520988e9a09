namespace Lab.Models.Corpora;

/// <summary>
/// A small random number generator (SplitMix64: Steele, Lea and Flood 2014) whose numbers depend on the seed alone, on every machine and
/// runtime. For data, not for secrets. Not safe for use by several threads at once.
/// </summary>
/// <param name="seed">Equal seeds give equal sequences.</param>
/// <param name="stream">Tells apart independent sequences of one seed, such as one for each document.</param>
public sealed class SeededRandom(long seed, long stream = 0)
{
    private ulong _state = Mix(unchecked((ulong)seed)) ^ Mix(unchecked((ulong)stream + 0x632BE59BD9B4E019UL));

    /// <summary>64 random bits.</summary>
    public ulong NextBits() => Mix(_state = unchecked(_state + 0x9E3779B97F4A7C15UL));

    /// <summary>An integer from 0 up to, but without, <paramref name="limit"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The limit is not above 0.</exception>
    public int Next(int limit)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(limit);
        return (int)Math.BigMul(NextBits(), (ulong)limit, out _);
    }

    /// <summary>An integer from <paramref name="low"/> to <paramref name="high"/>, both included.</summary>
    public int Between(int low, int high) => low + Next(high - low + 1);

    /// <summary>True in <paramref name="percent"/> of 100 cases.</summary>
    public bool Chance(int percent) => Next(100) < percent;

    /// <summary>One of the items, each as likely as the others.</summary>
    public T Pick<T>(IReadOnlyList<T> items)
    {
        ArgumentNullException.ThrowIfNull(items);
        return items[Next(items.Count)];
    }

    private static ulong Mix(ulong z)
    {
        unchecked
        {
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9UL;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EBUL;
            return z ^ (z >> 31);
        }
    }
}
