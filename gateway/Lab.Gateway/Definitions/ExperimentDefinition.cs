using System.Text.Json.Nodes;

namespace Lab.Gateway.Definitions;

/// <summary>An experiment: parameters, steps, and what its report says.</summary>
/// <param name="Name">Lower-case letters, digits and hyphens.</param>
/// <param name="Description">What it finds out.</param>
/// <param name="Parameters">In the order of the text.</param>
/// <param name="Steps">In the order of the text.</param>
/// <param name="Report">What the report says.</param>
/// <param name="Yaml">The text that it was read from.</param>
internal sealed record ExperimentDefinition(
    string Name,
    string Description,
    IReadOnlyList<ParameterDefinition> Parameters,
    IReadOnlyList<StepDefinition> Steps,
    ReportDefinition Report,
    string Yaml);

/// <summary>What an experiment's report says.</summary>
/// <param name="Title">Its heading; the experiment's name by default.</param>
/// <param name="Metrics">
/// The flat metrics by name, in the order of the text. Each is a reference, a number, {ratio: [a, b]} or {mean: [a, b, ...]}.
/// </param>
internal sealed record ReportDefinition(string Title, IReadOnlyDictionary<string, JsonNode?> Metrics)
{
    /// <summary>A table with a row for each entry of a step; null where there is none.</summary>
    public SweepDefinition? Sweep { get; init; }
}

/// <summary>A table with a row for each entry of a step, and charts of its columns.</summary>
/// <param name="Step">The step's ID.</param>
/// <param name="Columns">Each an expression as metrics are, in which ${item} and ${steps.other[key]...} are the entry's. One that refers to a step that is left out is left out.</param>
/// <param name="Charts">Charts; those of columns that are left out are too.</param>
internal sealed record SweepDefinition(string Step, IReadOnlyDictionary<string, JsonNode?> Columns, IReadOnlyList<SweepChart> Charts);

/// <summary>A chart of two columns of a sweep, each row a point.</summary>
/// <param name="X">The column of the x axis.</param>
/// <param name="Y">The column of the y axis.</param>
/// <param name="By">The columns whose rows of equal values are joined to lines.</param>
internal sealed record SweepChart(string X, string Y, IReadOnlyList<string> By);
