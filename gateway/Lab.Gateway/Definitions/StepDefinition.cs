using System.Text.Json.Nodes;

namespace Lab.Gateway.Definitions;

/// <summary>A step of an experiment as it is written.</summary>
/// <param name="Id">Unique among the experiment's steps.</param>
/// <param name="Operation">The operation's name: "training.train".</param>
/// <param name="With">The operation's inputs, with references.</param>
/// <param name="ForEach">A list of scalars or a mapping; one instance of the step is run for each entry. Null runs the step once.</param>
/// <param name="Needs">Steps that must be done before, besides those that are referred to.</param>
/// <param name="Path">Where it stands: "steps[2]".</param>
internal sealed record StepDefinition(
    string Id, string Operation, JsonObject With, JsonNode? ForEach, IReadOnlyList<string> Needs, string Path)
{
    /// <summary>
    /// Lists by name, each of scalars or a reference to a parameter of type "numbers"; one instance of the step is run for each
    /// combination, the first list's entries changing most slowly. Null where there is none; not beside <see cref="ForEach"/>.
    /// </summary>
    public JsonObject? Sweep { get; init; }

    /// <summary>True, false or a reference to a parameter of type "bool"; if it is false the step is left out. Null runs it.</summary>
    public JsonNode? When { get; init; }

    /// <summary>Whether there is one instance for each of several entries.</summary>
    public bool HasEntries => ForEach is not null || Sweep is not null;
}
