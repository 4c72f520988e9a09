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
internal sealed record ReportDefinition(string Title, IReadOnlyDictionary<string, JsonNode?> Metrics);
