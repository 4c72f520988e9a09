using System.Text.Json.Nodes;
using Lab.Gateway.Reports;
using Spectre.Console;

namespace Lab.Standalone.Rendering;

/// <summary>The metrics of a report.json as tables.</summary>
internal static class SummaryTable
{
    public static void Write(IAnsiConsole screen, JsonNode report)
    {
        KeyValuePair<string, double>[] metrics = [.. report["metrics"]?.AsObject()
            .Select(metric => KeyValuePair.Create(metric.Key, metric.Value?.GetValue<double>() ?? double.NaN)) ?? []];
        var table = MetricTable.Of(metrics);
        if (table.Rows.Count > 0) screen.Write(SideBySide(table));
        if (table.Single.Count > 0) screen.Write(Alone(table.Single));
        if (report["sweep"] is JsonObject sweep) screen.Write(Sweep(sweep));
    }

    private static Table Sweep(JsonObject sweep)
    {
        Table table = new Table().Border(TableBorder.Simple).AddColumn("");
        string[] columns = [.. sweep["columns"]!.AsArray().Select(column => column!.GetValue<string>())];
        foreach (string column in columns) table.AddColumn(new TableColumn(new Text(MetricCatalogue.Title(column))).RightAligned());
        foreach (JsonNode? row in sweep["rows"]!.AsArray())
            table.AddRow([new Text(row!["key"]!.GetValue<string>()), .. columns.Select(column => new Text(MetricCatalogue.Write(column, row["values"]![column]?.GetValue<double>())))]);
        return table;
    }

    private static Table SideBySide(MetricTable metrics)
    {
        Table table = new Table().Border(TableBorder.Simple).AddColumn("");
        foreach (string label in metrics.Labels) table.AddColumn(new TableColumn(new Text(label)).RightAligned());
        foreach (MetricRow row in metrics.Rows)
            table.AddRow([new Text(MetricCatalogue.Title(row.Key)), .. row.Values.Select(value => new Text(MetricCatalogue.Write(row.Key, value)))]);
        return table;
    }

    private static Table Alone(IReadOnlyList<KeyValuePair<string, double>> metrics)
    {
        Table table = new Table().Border(TableBorder.None).HideHeaders().AddColumn(new TableColumn("").PadLeft(1)).AddColumn(new TableColumn("").RightAligned());
        foreach ((string key, double value) in metrics) table.AddRow(new Text(MetricCatalogue.Title(key)), new Text(MetricCatalogue.Write(key, value), new Style(decoration: Decoration.Bold)));
        return table;
    }
}
