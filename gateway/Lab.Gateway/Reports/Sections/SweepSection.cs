using Lab.Gateway.Definitions;
using Lab.Gateway.Reports.Charts;

namespace Lab.Gateway.Reports.Sections;

/// <summary>The runs of a sweep beside each other, and how one measure goes with another.</summary>
internal static class SweepSection
{
    private const double LogarithmicAbove = 5;

    public static Markup Render(ReportData data) => data.Sweep is not { Rows.Count: > 0 } sweep ? Markup.Empty : Markup.Of($"""
        <section>
        <h2>Sweep</h2>
        <div class="charts">{sweep.Charts.Select(chart => Draw(sweep, chart))}</div>
        <div class="scroll"><table>
        <thead><tr><th></th>{sweep.Columns.Select(column => Markup.Of($"""<th class="n">{MetricCatalogue.Title(column)}</th>"""))}</tr></thead>
        <tbody>{sweep.Rows.Select(row => Row(sweep, row))}</tbody>
        </table></div>
        </section>
        """);

    private static Markup Row(SweepTable sweep, SweepRow row) => Markup.Of($"""
        <tr><th scope="row">{row.Key}</th>{sweep.Columns.Select(column => Markup.Of($"""<td class="n">{MetricCatalogue.Write(column, row.Values[column])}</td>"""))}</tr>

        """);

    private static Markup Draw(SweepTable sweep, SweepChart chart)
    {
        Series[] series = [.. sweep.Rows
            .Where(row => row.Values[chart.X] is not null && row.Values[chart.Y] is not null)
            .GroupBy(row => string.Join(", ", chart.By.Select(column => $"{MetricCatalogue.Title(column)} {Numbers.Short(row.Values[column] ?? double.NaN)}")))
            .Select((line, i) => new Series(line.Key, $"s{i % 6}", [.. line.Select(row => (row.Values[chart.X]!.Value, row.Values[chart.Y]!.Value)).OrderBy(point => point.Item1)], HasDots: true))];
        double[] x = [.. series.SelectMany(line => line.Points.Select(point => point.X))];
        bool isLogarithmic = x.Length > 0 && x.Min() > 0 && x.Max() / x.Min() > LogarithmicAbove;
        (string nameX, string nameY) = (MetricCatalogue.Title(chart.X), MetricCatalogue.Title(chart.Y));
        return LineChart.Draw($"{nameY} against {nameX}", isLogarithmic ? $"{nameX}, logarithmic" : nameX, nameY, series, spansX: true, logarithmicX: isLogarithmic);
    }
}
