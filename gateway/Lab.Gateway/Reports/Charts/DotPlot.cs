namespace Lab.Gateway.Reports.Charts;

/// <summary>A value in a row of a dot plot.</summary>
/// <param name="Name">Whose it is; equal names share a colour and one entry in the legend.</param>
/// <param name="Style">The CSS class of its colour.</param>
/// <param name="Value">Where the dot is.</param>
/// <param name="Spread">Half the length of its whisker: a standard deviation.</param>
internal sealed record Dot(string Name, string Style, double Value, double? Spread = null);

/// <summary>A line that crosses all rows, such as chance.</summary>
internal sealed record Reference(string Name, double Value);

/// <summary>Draws rows of values over one axis as SVG.</summary>
internal static class DotPlot
{
    private const double Width = 720, Left = 210, Right = 24, Top = 26, RowHeight = 34, Bottom = 40;
    private const double LogarithmicAbove = 30;

    public static Markup Draw(string title, string label, IReadOnlyList<(string Name, IReadOnlyList<Dot> Dots)> rows, IReadOnlyList<Reference> references)
    {
        List<double> values = [.. rows.SelectMany(row => row.Dots.Select(dot => dot.Value)), .. references.Select(reference => reference.Value)];
        List<double> positive = [.. values.Where(value => value > 0)];
        bool logarithmic = positive.Count == values.Count && positive.Max() / positive.Min() > LogarithmicAbove;
        var x = new Scale(logarithmic ? values : [0, .. values], Left, Width - Right, logarithmic);
        double height = Top + (rows.Count * RowHeight) + Bottom;
        IEnumerable<Dot> legend = rows.SelectMany(row => row.Dots).DistinctBy(dot => dot.Name);
        return Markup.Of($"""
            <figure class="chart wide">
            <figcaption>{title}<span class="legend">{legend.Select(LegendEntry)}</span></figcaption>
            <svg viewBox="0 0 {Width} {height}" role="img" aria-label="{title}">
            <g class="grid">{x.Ticks.Select(tick => Markup.Of($"""<path d="M{x.At(tick):0.#} {Top}V{height - Bottom}"/>"""))}</g>
            <g class="tick">{x.Ticks.Select(tick => Markup.Of($"""<text x="{x.At(tick):0.#}" y="{height - Bottom + 16}" text-anchor="middle">{Numbers.Short(tick)}</text>"""))}
            <text class="axis" x="{(Left + Width - Right) / 2}" y="{height - 6}" text-anchor="middle">{label}</text></g>
            {references.Select(reference => ReferenceLine(reference, x, height))}
            {rows.Select((row, i) => Row(row.Name, row.Dots, Top + ((i + 0.5) * RowHeight), x))}
            </svg>
            </figure>
            """);
    }

    private static Markup LegendEntry(Dot dot) =>
        Markup.Of($"""<span class="key {dot.Style}"><svg viewBox="0 0 10 10" width="10" height="10"><circle cx="5" cy="5" r="4"/></svg>{dot.Name}</span>""");

    private static Markup ReferenceLine(Reference reference, Scale x, double height) => Markup.Of($"""
        <g class="reference"><path d="M{x.At(reference.Value):0.#} {Top - 4}V{height - Bottom}"/>
        <text x="{x.At(reference.Value):0.#}" y="{Top - 9}" text-anchor="middle">{reference.Name}</text></g>
        """);

    private static Markup Row(string name, IReadOnlyList<Dot> dots, double y, Scale x) => Markup.Of($"""
        <text class="row" x="{Left - 16}" y="{y + 4:0.#}" text-anchor="end">{name}</text>
        {dots.Select((dot, i) => Place(dot, y + (dots.Count > 1 ? (i - ((dots.Count - 1) / 2.0)) * 11 : 0), x))}
        """);

    private static Markup Place(Dot dot, double y, Scale x)
    {
        Markup whisker = dot.Spread is double spread
            ? Markup.Of($"""<path d="M{x.At(dot.Value - spread):0.#} {y:0.#}H{x.At(dot.Value + spread):0.#}"/>""")
            : Markup.Empty;
        return Markup.Of($"""
            <g class="dot {dot.Style}">{whisker}<circle cx="{x.At(dot.Value):0.#}" cy="{y:0.#}" r="4.5"/><title>{dot.Name}: {Numbers.Measure(dot.Value)}</title></g>
            """);
    }
}
