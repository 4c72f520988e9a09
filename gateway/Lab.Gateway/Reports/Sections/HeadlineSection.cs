namespace Lab.Gateway.Reports.Sections;

/// <summary>What was found, in numbers: the title, the metrics that stand alone as cards, the others side by side.</summary>
internal static class HeadlineSection
{
    private const int MostCards = 8;

    public static Markup Render(ReportData data)
    {
        MetricTable table = MetricTable.Of(data.Metrics);
        return Markup.Of($"""
            <header>
            <h1>{data.Title}</h1>
            <p class="lead">{data.Description}</p>
            <ul class="facts">
            <li>experiment <b>{data.Run.Experiment}</b></li><li>run <b>{RunId(data.Run.Name)}</b></li>{Seed(data.Seed)}
            <li>time <b>{Numbers.Seconds(data.WallSeconds)}</b></li>
            <li>{data.Run.Status?.StartTime?.ToDateTimeOffset():yyyy-MM-dd HH:mm} UTC</li>
            </ul>
            </header>
            {Cards([.. table.Single.OrderBy(metric => metric.Key.Contains('.', StringComparison.Ordinal))])}
            {Comparison(data, table)}
            """);
    }

    private static Markup Seed(long? seed) => seed is long number ? Markup.Of($"<li>seed <b>{number}</b></li>") : Markup.Empty;

    private static string RunId(string name) => name[(name.LastIndexOf('/') + 1)..];

    private static Markup Cards(IReadOnlyList<KeyValuePair<string, double>> metrics) => metrics.Count == 0 ? Markup.Empty : Markup.Of($"""
        <div class="cards">{metrics.Take(MostCards).Select(metric => Markup.Of($"""
            <div class="card"><div class="value">{MetricCatalogue.Write(metric.Key, metric.Value)}</div><div class="name">{MetricCatalogue.Title(metric.Key)}</div></div>
            """))}</div>
        {Table(metrics.Skip(MostCards).ToList())}
        """);

    private static Markup Table(List<KeyValuePair<string, double>> metrics) => metrics.Count == 0 ? Markup.Empty : Markup.Of($"""
        <table><tbody>{metrics.Select(metric => Markup.Of(
            $"""<tr><th scope="row">{MetricCatalogue.Title(metric.Key)}</th><td class="n">{MetricCatalogue.Write(metric.Key, metric.Value)}</td></tr>"""))}</tbody></table>
        """);

    private static Markup Comparison(ReportData data, MetricTable table) => table.Rows.Count == 0 ? Markup.Empty : Markup.Of($"""
        <h2>{Heading(table.Labels)}</h2>
        <div class="scroll"><table>
        <thead><tr><th></th>{table.Labels.Select(label => Markup.Of($"""<th class="n {data.StyleOf(label)}">{label}</th>"""))}</tr></thead>
        <tbody>{table.Rows.Select(Row)}</tbody>
        </table></div>
        """);

    private static string Heading(IReadOnlyList<string> labels) => labels.Count == 2 ? $"{Capital(labels[0])} against {labels[1]}" : "Side by side";

    private static string Capital(string word) => word.Length == 0 ? word : char.ToUpperInvariant(word[0]) + word[1..];

    private static Markup Row(MetricRow row) => Markup.Of($"""
        <tr><th scope="row">{MetricCatalogue.Title(row.Key)}</th>{row.Values.Select(value => Markup.Of($"""<td class="n">{MetricCatalogue.Write(row.Key, value)}</td>"""))}</tr>
        """);
}
