using Lab.Gateway.Definitions;
using Lab.Protos.Experiment.V1;

namespace Lab.Gateway.Reports;

/// <summary>The table of a sweep: a row for each entry of a step.</summary>
/// <param name="Columns">The columns, in the order of the definition.</param>
/// <param name="Rows">The rows, in the order of the entries.</param>
/// <param name="Charts">The charts whose columns are all there.</param>
internal sealed record SweepTable(IReadOnlyList<string> Columns, IReadOnlyList<SweepRow> Rows, IReadOnlyList<SweepChart> Charts)
{
    /// <summary>The run's metric that a cell is kept as: "train" entry "[ef2]" and column "loss" give "ef2.loss".</summary>
    /// <param name="key">The entry with its brackets.</param>
    /// <param name="column">The column.</param>
    public static string MetricOf(string key, string column) => $"{key[1..^1]}.{column}";

    /// <summary>Reads the table out of a run's metrics; null where the definition has none.</summary>
    public static SweepTable? Of(ExperimentRun run, SweepDefinition? sweep)
    {
        if (sweep is null) return null;
        string[] keys = [.. run.Steps.Select(step => step.Id).Where(id => id.StartsWith($"{sweep.Step}[", StringComparison.Ordinal)).Select(id => id[sweep.Step.Length..])];
        string[] columns = [.. sweep.Columns.Keys.Where(column => keys.Any(key => run.Status.Metrics.ContainsKey(MetricOf(key, column))))];
        SweepRow[] rows = [.. keys.Select(key => new SweepRow(
            key[1..^1],
            columns.ToDictionary(column => column, column => run.Status.Metrics.TryGetValue(MetricOf(key, column), out double value) ? value : (double?)null)))];
        return new SweepTable(columns, rows, [.. sweep.Charts.Where(chart => chart.By.Append(chart.X).Append(chart.Y).All(columns.Contains))]);
    }
}

/// <summary>One row of a sweep.</summary>
/// <param name="Key">The entry's name.</param>
/// <param name="Values">By column; null where there is none.</param>
internal sealed record SweepRow(string Key, IReadOnlyDictionary<string, double?> Values);
