namespace Lab.CircuitAnalysis.Pruning;

/// <summary>Looks for the smallest count whose loss is at most a target, where the loss falls with the count only roughly.</summary>
internal static class Bisection
{
    /// <summary>How far below a found count is looked once more, as fractions of it.</summary>
    private static readonly double[] _neighbours = [0.98, 0.95, 0.9, 0.8];

    /// <summary>
    /// Bisects, then tries some counts a little below, and bisects again below the lowest that serves. If not even
    /// <paramref name="all"/> reaches the target, halves of it are tried first: pruning can improve on the whole.
    /// </summary>
    /// <param name="all">The largest count.</param>
    /// <param name="loss">The loss at a count from 0 to <paramref name="all"/>.</param>
    /// <param name="target">What it must not exceed.</param>
    /// <returns>The count, or null if none that was tried reaches the target.</returns>
    public static int? Smallest(int all, Func<int, double> loss, double target)
    {
        Dictionary<int, bool> known = [];
        bool Reaches(int count)
        {
            if (!known.TryGetValue(count, out bool reaches)) known[count] = reaches = loss(count) <= target;
            return reaches;
        }

        int high = all;
        while (!Reaches(high))
        {
            if (high == 0) return null;
            high /= 2;
        }

        high = Bisect(high, Reaches);
        int lowest = high;
        foreach (double fraction in _neighbours)
        {
            int neighbour = (int)(high * fraction);
            if (neighbour < high && Reaches(neighbour)) lowest = neighbour;
        }

        return lowest == high ? high : Bisect(lowest, Reaches);
    }

    private static int Bisect(int high, Func<int, bool> reaches)
    {
        if (high > 0 && reaches(0)) return 0;
        int low = 0; // does not reach
        while (high - low > 1)
        {
            int middle = low + (high - low) / 2;
            if (reaches(middle)) high = middle;
            else low = middle;
        }

        return high;
    }
}
