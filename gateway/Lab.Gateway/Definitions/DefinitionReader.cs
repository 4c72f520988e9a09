using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using YamlDotNet.Core;

namespace Lab.Gateway.Definitions;

/// <summary>Reads an experiment from YAML. Faults are collected; what has them is left out.</summary>
internal static partial class DefinitionReader
{
    private const int MaxSteps = 256;

    /// <summary>Null if the text is not YAML or not a mapping; then there are violations.</summary>
    public static ExperimentDefinition? Read(string yaml, Violations violations)
    {
        if (Encoding.UTF8.GetByteCount(yaml) > YamlReader.MaxBytes)
        {
            violations.AddPlain("yaml", "must be at most 1 MiB");
            return null;
        }

        YamlDocument document;
        try
        {
            document = YamlReader.Read(yaml);
        }
        catch (YamlException fault)
        {
            violations.AddPlain("yaml", $"line {fault.Start.Line}, column {fault.Start.Column}: {fault.Message}");
            return null;
        }

        if (document.Root is not JsonObject root)
        {
            violations.AddPlain("yaml", "must be a mapping with name and steps");
            return null;
        }

        violations.Document = document;
        return ReadExperiment(root, yaml, violations);
    }

    private static ExperimentDefinition ReadExperiment(JsonObject root, string yaml, Violations violations)
    {
        ObjectReader reader = new(root, "", violations);
        string name = reader.Text("name", isRequired: true);
        if (name.Length > 0 && !ExperimentName().IsMatch(name))
            violations.Add("name", "must be 1 to 40 lower-case letters, digits and hyphens, beginning with a letter");
        ExperimentDefinition definition = new(
            name,
            reader.Text("description"),
            [.. ReadEach(reader.Object("parameters"), "parameters", violations, ReadParameter)],
            ReadSteps(reader.Array("steps", isRequired: true), violations),
            ReadReport(reader.Object("report"), name, violations),
            yaml);
        reader.Finish();
        return definition;
    }

    private static IEnumerable<T> ReadEach<T>(JsonObject members, string path, Violations violations, Func<string, ObjectReader, Violations, T> read)
    {
        foreach ((string key, JsonNode? value) in members)
        {
            string here = $"{path}.{key}";
            if (value is not JsonObject inner)
            {
                violations.Add(here, "must be a mapping");
                continue;
            }
            ObjectReader reader = new(inner, here, violations);
            T item = read(key, reader, violations);
            reader.Finish();
            yield return item;
        }
    }

    private static ParameterDefinition ReadParameter(string name, ObjectReader reader, Violations violations)
    {
        ParameterDefinition parameter = new(
            name, reader.Text("type", isRequired: true), reader.Any("default"), reader.Text("description"), reader.Number("minimum"), reader.Number("maximum"));
        if (!Identifier().IsMatch(name)) violations.Add($"parameters.{name}", "must be named by letters, digits, _ and -");
        if (parameter.Type.Length > 0 && !ParameterDefinition.Types.Contains(parameter.Type))
            violations.Add(reader.PathOf("type"), $"must be one of {string.Join(", ", ParameterDefinition.Types)}");
        else if (parameter.Default is not null && parameter.Fault(parameter.Default) is string fault)
            violations.Add(reader.PathOf("default"), fault);
        return parameter;
    }

    private static List<StepDefinition> ReadSteps(JsonArray items, Violations violations)
    {
        List<StepDefinition> steps = [];
        if (items.Count > MaxSteps) violations.Add("steps", $"must be at most {MaxSteps}");
        foreach ((int i, JsonNode? item) in items.Index())
        {
            if (item is not JsonObject members)
            {
                violations.Add($"steps[{i}]", "must be a mapping");
                continue;
            }
            ObjectReader reader = new(members, $"steps[{i}]", violations);
            StepDefinition step = new(
                reader.Text("id", isRequired: true),
                reader.Text("operation", isRequired: true),
                reader.Object("with"),
                reader.Any("for_each"),
                [.. reader.Array("needs").Select((need, n) => ReadName(need, $"steps[{i}].needs[{n}]", "must be a step's ID", violations))],
                $"steps[{i}]")
            {
                Sweep = reader.Any("sweep") is null ? null : reader.Object("sweep"),
                When = reader.Any("when"),
            };
            reader.Finish();
            if (step.Id.Length > 0 && !Identifier().IsMatch(step.Id)) violations.Add(reader.PathOf("id"), "must be letters, digits, _ and -");
            if (steps.Exists(s => s.Id == step.Id && s.Id.Length > 0)) violations.Add(reader.PathOf("id"), $"\"{step.Id}\" is another step's ID too");
            if (step.ForEach is not (null or JsonArray { Count: > 0 } or JsonObject { Count: > 0 }))
                violations.Add(reader.PathOf("for_each"), "must be a list or a mapping with at least one entry");
            if (step is { ForEach: not null, Sweep: not null }) violations.Add(reader.PathOf("sweep"), "cannot be set together with for_each");
            if (step.Sweep is { Count: 0 }) violations.Add(reader.PathOf("sweep"), "must have at least one list");
            steps.Add(step);
        }
        return steps;
    }

    private static string ReadName(JsonNode? name, string path, string fault, Violations violations)
    {
        if (name?.GetValueKind() == JsonValueKind.String) return name.GetValue<string>();
        violations.Add(path, fault);
        return "";
    }

    private static ReportDefinition ReadReport(JsonObject members, string name, Violations violations)
    {
        ObjectReader reader = new(members, "report", violations);
        string title = reader.Text("title");
        ReportDefinition report = new(
            title.Length > 0 ? title : name,
            reader.Object("metrics").ToDictionary(m => m.Key, m => m.Value))
        {
            Sweep = reader.Any("sweep") is null ? null : ReadSweep(reader.Object("sweep"), violations),
        };
        reader.Finish();
        foreach ((string metric, JsonNode? expression) in report.Metrics)
            if (MetricExpression.Fault(expression) is string fault)
                violations.Add($"report.metrics.{metric}", fault);
        return report;
    }

    private static SweepDefinition ReadSweep(JsonObject members, Violations violations)
    {
        ObjectReader reader = new(members, "report.sweep", violations);
        SweepDefinition sweep = new(
            reader.Text("step", isRequired: true),
            reader.Object("columns").ToDictionary(c => c.Key, c => c.Value),
            [.. reader.Array("charts").Select((chart, i) => ReadChart(chart, $"report.sweep.charts[{i}]", violations))]);
        reader.Finish();
        if (sweep.Columns.Count == 0) violations.Add("report.sweep.columns", "must have at least one column");
        foreach ((string column, JsonNode? expression) in sweep.Columns)
            if (MetricExpression.Fault(expression) is string fault)
                violations.Add($"report.sweep.columns.{column}", fault);
        foreach ((int i, SweepChart chart) in sweep.Charts.Index())
            foreach (string column in (string[])[chart.X, chart.Y, .. chart.By])
                if (column.Length > 0 && !sweep.Columns.ContainsKey(column)) violations.Add($"report.sweep.charts[{i}]", $"there is no column \"{column}\"");
        return sweep;
    }

    private static SweepChart ReadChart(JsonNode? chart, string path, Violations violations)
    {
        if (chart is not JsonObject members)
        {
            violations.Add(path, "must be a mapping with x, y and by");
            return new SweepChart("", "", []);
        }
        ObjectReader reader = new(members, path, violations);
        SweepChart read = new(
            reader.Text("x", isRequired: true), reader.Text("y", isRequired: true),
            [.. reader.Array("by").Select((by, i) => ReadName(by, $"{path}.by[{i}]", "must be a column's name", violations))]);
        reader.Finish();
        return read;
    }

    [GeneratedRegex("^[a-z][a-z0-9-]{0,39}$")]
    private static partial Regex ExperimentName();

    [GeneratedRegex("^[A-Za-z][A-Za-z0-9_-]{0,63}$")]
    private static partial Regex Identifier();
}
