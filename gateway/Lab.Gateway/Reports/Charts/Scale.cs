namespace Lab.Gateway.Reports.Charts;

/// <summary>Maps the values of one axis to places on the drawing.</summary>
internal sealed class Scale
{
    private readonly double _first;
    private readonly double _last;
    private readonly double _from;
    private readonly double _to;
    private readonly bool _logarithmic;

    /// <param name="values">What must be on the axis; values that are not finite, or not positive on a logarithmic one, are left out.</param>
    /// <param name="from">The place of the least value.</param>
    /// <param name="to">The place of the greatest value.</param>
    /// <param name="logarithmic">Whether equal ratios get equal lengths.</param>
    /// <param name="isTight">Whether the axis ends where the values end, instead of at a round value.</param>
    /// <param name="ticks">About how many ticks to have.</param>
    public Scale(IEnumerable<double> values, double from, double to, bool logarithmic = false, bool isTight = false, int ticks = 5)
    {
        List<double> shown = [.. values.Where(value => double.IsFinite(value) && (!logarithmic || value > 0))];
        double least = shown.Count == 0 ? (logarithmic ? 0.1 : 0) : shown.Min();
        double greatest = shown.Count == 0 ? 1 : shown.Max();
        if (greatest - least <= 1e-12 * Math.Abs(greatest)) (least, greatest) = Widen(least, logarithmic);

        _from = from;
        _to = to;
        _logarithmic = logarithmic;
        Ticks = logarithmic ? LogarithmicTicks(least, greatest, ticks) : LinearTicks(least, greatest, ticks);
        if (isTight) Ticks = [.. Ticks.Where(tick => tick >= least && tick <= greatest)];
        if (Ticks.Count == 0) Ticks = [least];
        _first = Math.Min(Transform(least), Transform(Ticks[0]));
        _last = Math.Max(Transform(greatest), Transform(Ticks[^1]));
    }

    /// <summary>The round values to mark, ascending; at least one.</summary>
    public IReadOnlyList<double> Ticks { get; }

    public double At(double value)
    {
        double place = _logarithmic && value <= 0 ? 0 : (Transform(value) - _first) / (_last - _first);
        return _from + (Math.Clamp(place, 0, 1) * (_to - _from));
    }

    private double Transform(double value) => _logarithmic ? Math.Log10(value) : value;

    private static (double Least, double Greatest) Widen(double value, bool logarithmic) =>
        logarithmic ? (value / 2, value * 2) : (value - Math.Max(0.5, Math.Abs(value) / 2), value + Math.Max(0.5, Math.Abs(value) / 2));

    private static List<double> LinearTicks(double least, double greatest, int about)
    {
        double rough = (greatest - least) / about;
        double magnitude = Math.Pow(10, Math.Floor(Math.Log10(rough)));
        double step = magnitude * (rough / magnitude) switch { <= 1 => 1, <= 2 => 2, <= 5 => 5, _ => 10 };
        long first = (long)Math.Floor(least / step);
        long last = (long)Math.Ceiling(greatest / step);
        return [.. Enumerable.Range(0, (int)(last - first) + 1).Select(i => Math.Round((first + i) * step, 12))];
    }

    private static List<double> LogarithmicTicks(double least, double greatest, int about)
    {
        int first = (int)Math.Floor(Math.Log10(least));
        int last = (int)Math.Ceiling(Math.Log10(greatest));
        double[] within = last - first > about ? [1] : last - first > 2 ? [1, 3] : [1, 2, 5];
        List<double> all = [.. Enumerable.Range(first, last - first + 1).SelectMany(e => within.Select(m => Math.Round(m * Math.Pow(10, e), 12)))];
        List<double> inside = [.. all.Where(tick => tick >= least * 0.999 && tick <= greatest * 1.001)];
        return inside.Count > 0 ? inside : [all.Last(tick => tick <= least * 1.001), all.First(tick => tick >= greatest * 0.999)];
    }
}
