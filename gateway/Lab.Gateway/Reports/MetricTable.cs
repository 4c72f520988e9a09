namespace Lab.Gateway.Reports;

/// <summary>
/// Flat metrics such as "dense.circuit.edges" and "sparse.circuit.edges" as a table: a column for each label, a row for each metric
/// that more than one label has. What does not fit stands alone. Everything keeps the order of the metrics.
/// </summary>
internal sealed record MetricTable(IReadOnlyList<string> Labels, IReadOnlyList<MetricRow> Rows, IReadOnlyList<KeyValuePair<string, double>> Single)
{
    public static MetricTable Of(IReadOnlyList<KeyValuePair<string, double>> metrics)
    {
        List<(string Label, string Key, double Value)> split = [.. metrics.Select(metric => Split(metric.Key, metric.Value))];
        List<IGrouping<string, (string Label, string Key, double Value)>> shared = [.. split
            .Where(metric => metric.Label.Length > 0).GroupBy(metric => metric.Key).Where(group => group.Count() > 1)];
        List<string> labels = [.. shared.SelectMany(group => group).Select(metric => metric.Label).Distinct()];
        List<MetricRow> rows = [.. shared.Select(group => new MetricRow(group.Key, [.. labels.Select(label => ValueOf(group, label))]))];
        HashSet<string> tabled = [.. rows.Select(row => row.Key)];
        return new MetricTable(labels, rows, [.. metrics.Where((_, i) => split[i].Label.Length == 0 || !tabled.Contains(split[i].Key))]);
    }

    private static (string Label, string Key, double Value) Split(string name, double value)
    {
        int dot = name.IndexOf('.', StringComparison.Ordinal);
        return dot < 0 ? ("", name, value) : (name[..dot], name[(dot + 1)..], value);
    }

    private static double? ValueOf(IEnumerable<(string Label, string Key, double Value)> metrics, string label)
    {
        foreach ((string other, _, double value) in metrics)
        {
            if (other == label) return value;
        }

        return null;
    }
}

/// <summary>A metric with one value for each label of its table.</summary>
internal sealed record MetricRow(string Key, IReadOnlyList<double?> Values);
