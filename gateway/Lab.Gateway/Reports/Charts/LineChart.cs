using System.Globalization;
using System.Text;

namespace Lab.Gateway.Reports.Charts;

/// <summary>A line of a chart.</summary>
/// <param name="Name">Its entry in the legend.</param>
/// <param name="Style">Its CSS classes: a series colour ("s0" to "s5"), and "faint" for a thin pale line.</param>
/// <param name="Points">By ascending x.</param>
/// <param name="HasDots">Whether each point is marked.</param>
internal sealed record Series(string Name, string Style, IReadOnlyList<(double X, double Y)> Points, bool HasDots = false);

/// <summary>Draws lines over a common x axis as SVG.</summary>
internal static class LineChart
{
    private const double Width = 520, Height = 270, Left = 52, Right = 12, Top = 12, Bottom = 40;

    /// <param name="title">What it shows.</param>
    /// <param name="xLabel">The x axis.</param>
    /// <param name="yLabel">The y axis.</param>
    /// <param name="series">The lines.</param>
    /// <param name="logarithmic">Whether the y axis is.</param>
    /// <param name="spansX">Whether the x axis has round values around the points, instead of 0 and the last point at its ends.</param>
    /// <param name="logarithmicX">Whether the x axis is; only with <paramref name="spansX"/>.</param>
    public static Markup Draw(string title, string xLabel, string yLabel, IReadOnlyList<Series> series, bool logarithmic = false, bool spansX = false, bool logarithmicX = false)
    {
        IEnumerable<double> places = series.SelectMany(line => line.Points.Select(point => point.X));
        Scale x = spansX ? new Scale(places, Left, Width - Right, logarithmicX) : new Scale([0, .. places], Left, Width - Right, isTight: true);
        var y = new Scale(series.SelectMany(line => line.Points.Select(point => point.Y)), Height - Bottom, Top, logarithmic);
        return Markup.Of($"""
            <figure class="chart">
            <figcaption>{title}<span class="legend">{series.Select(LegendEntry)}</span></figcaption>
            <svg viewBox="0 0 {Width} {Height}" role="img" aria-label="{title}">
            {Axes(x, y, xLabel, yLabel)}
            {series.Select(line => Line(line, x, y))}
            </svg>
            </figure>
            """);
    }

    private static Markup LegendEntry(Series line) =>
        Markup.Of($"""<span class="key {line.Style}"><svg viewBox="0 0 18 8" width="18" height="8"><path d="M0 4H18"/></svg>{line.Name}</span>""");

    private static Markup Axes(Scale x, Scale y, string xLabel, string yLabel) => Markup.Of($"""
        <g class="grid">{y.Ticks.Select(tick => Markup.Of($"""<path d="M{Left} {y.At(tick):0.#}H{Width - Right}"/>"""))}</g>
        <g class="tick">
        {y.Ticks.Select(tick => Markup.Of($"""<text x="{Left - 8}" y="{y.At(tick) + 3.5:0.#}" text-anchor="end">{Numbers.Short(tick)}</text>"""))}
        {x.Ticks.Select(tick => Markup.Of($"""<text x="{x.At(tick):0.#}" y="{Height - Bottom + 16}" text-anchor="middle">{Numbers.Short(tick)}</text>"""))}
        <text class="axis" x="{(Left + Width - Right) / 2}" y="{Height - 6}" text-anchor="middle">{xLabel}</text>
        <text class="axis" transform="translate(12 {(Top + Height - Bottom) / 2}) rotate(-90)" text-anchor="middle">{yLabel}</text>
        </g>
        """);

    private static Markup DotAt(Series line, (double X, double Y) point, Scale x, Scale y) => Markup.Of(
        $"""<circle class="point {line.Style}" cx="{x.At(point.X):0.#}" cy="{y.At(point.Y):0.#}" r="2.6"><title>{Numbers.Short(point.X)}: {Numbers.Measure(point.Y)}</title></circle>""");

    private static Markup Line(Series line, Scale x, Scale y)
    {
        var path = new StringBuilder();
        (double X, double Y)[] points = [.. line.Points.Where(point => double.IsFinite(point.X) && double.IsFinite(point.Y))];
        foreach ((double px, double py) in points)
            path.Append(CultureInfo.InvariantCulture, $"{(path.Length == 0 ? 'M' : 'L')}{x.At(px):0.#} {y.At(py):0.#}");
        return Markup.Of($"""<path class="line {line.Style}" d="{path.ToString()}"/>{(line.HasDots ? points.Select(point => DotAt(line, point, x, y)) : [])}""");
    }
}
