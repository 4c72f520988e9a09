using System.Text.Json.Nodes;

namespace Lab.Gateway.Definitions;

/// <summary>A step that is run: a step of the definition, or one entry of its for_each.</summary>
/// <param name="Id">"train", or "prune[sparse]" for an entry.</param>
/// <param name="Definition">The step as it is written.</param>
/// <param name="Key">The entry with its brackets, "[sparse]"; null without for_each.</param>
/// <param name="Item">The entry's value, with references.</param>
internal sealed record PlannedStep(string Id, StepDefinition Definition, string? Key, JsonNode? Item)
{
    /// <summary>The IDs of the planned steps that must succeed before.</summary>
    public IReadOnlySet<string> Needs { get; init; } = new HashSet<string>();
}
