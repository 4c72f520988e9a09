using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Lab.Gateway.Definitions;

/// <summary>A definition with its parameters' values, every for_each fanned out.</summary>
internal sealed partial class ExperimentPlan
{
    private const int MaxEntries = 1024;

    private readonly ILookup<string, PlannedStep> _byDefinition;

    /// <param name="definition">The experiment.</param>
    /// <param name="parameters">All parameters.</param>
    /// <param name="violations">Takes what is wrong with the entries of for_each.</param>
    public ExperimentPlan(ExperimentDefinition definition, JsonObject parameters, Violations violations)
    {
        Definition = definition;
        Parameters = parameters;
        PlannedStep[] steps = [.. definition.Steps.SelectMany(step => FanOut(step, violations))];
        _byDefinition = steps.ToLookup(s => s.Definition.Id);
        Steps = [.. steps.Select(step => step with { Needs = NeedsOf(step) })];
        _byDefinition = Steps.ToLookup(s => s.Definition.Id);
    }

    public ExperimentDefinition Definition { get; }

    public JsonObject Parameters { get; }

    /// <summary>In the order of the definition.</summary>
    public IReadOnlyList<PlannedStep> Steps { get; }

    /// <summary>The planned steps of one step of the definition.</summary>
    public IEnumerable<PlannedStep> StepsOf(string id) => _byDefinition[id];

    /// <summary>A step's inputs with the references replaced that are known.</summary>
    /// <param name="step">The step.</param>
    /// <param name="outputs">Gives the outputs of a planned step by ID; null if there are none yet.</param>
    public JsonObject ResolveInputs(PlannedStep step, Func<string, JsonObject?> outputs)
    {
        Template.Lookup lookup = LookupOf(step, outputs);
        return Template.Resolve(step.Definition.With, lookup)!.AsObject();
    }

    /// <summary>The references in a step's inputs that lead nowhere, and where they stand.</summary>
    public IEnumerable<(string Path, string Text)> UnresolvedInputs(PlannedStep step, Func<string, JsonObject?> outputs, string path)
    {
        Template.Lookup lookup = LookupOf(step, outputs);
        return Template.References(step.Definition.With, path).Concat(Template.References(step.Item, path))
            .Where(r => r.Reference is null || !lookup(r.Reference, out _)).Select(r => (r.Path, r.Text));
    }

    /// <summary>A column of the report's sweep for one entry, with the references replaced that are known.</summary>
    public JsonNode? ResolveColumn(PlannedStep row, JsonNode? expression, Func<string, JsonObject?> outputs) =>
        Template.Resolve(expression, LookupOf(row, outputs));

    /// <summary>Whether an expression refers to a step that `when` leaves out.</summary>
    public bool RefersToLeftOut(JsonNode? expression) =>
        Template.References(expression, "").Any(r => r.Reference is { Root: "steps" } reference && !StepsOf(reference.Name!).Any());

    /// <summary>A metric's expression with the references replaced that are known.</summary>
    public JsonNode? ResolveMetric(JsonNode? expression, Func<string, JsonObject?> outputs) =>
        Template.Resolve(expression, (Reference r, out JsonNode? v) => Find(r, outputs, out v));

    private Template.Lookup LookupOf(PlannedStep step, Func<string, JsonObject?> outputs)
    {
        JsonNode? item = Template.Resolve(step.Item, (Reference r, out JsonNode? v) => Find(r, outputs, out v));
        JsonNode? key = step.Key is null ? null : JsonValue.Create(step.Key[1..^1]);
        return (Reference reference, out JsonNode? value) => (reference.Root, key) switch
        {
            ("item" or "key", null) => Nothing(out value),
            ("item", _) => Reference.TryFollow(item, [.. reference.Rest], out value),
            ("key", _) => Reference.TryFollow(key, [], out value),
            _ => Find(reference.For(step.Key), outputs, out value),
        };
    }

    private static bool Nothing(out JsonNode? value)
    {
        value = null;
        return false;
    }

    private bool Find(Reference reference, Func<string, JsonObject?> outputs, out JsonNode? value)
    {
        value = null;
        if (reference.Root == "parameters") return Reference.TryFollow(Parameters, [.. reference.Path], out value);
        if (reference.Root != "steps") return false;
        if (reference.Key != Reference.Every)
            return outputs(reference.Name + reference.Key) is JsonObject found && Reference.TryFollow(found, [.. reference.Rest], out value);

        JsonArray all = [];
        foreach (PlannedStep step in StepsOf(reference.Name!))
        {
            if (outputs(step.Id) is not JsonObject found || !Reference.TryFollow(found, [.. reference.Rest], out JsonNode? one)) return false;
            all.Add(one?.DeepClone());
        }
        value = all;
        return true;
    }

    private List<PlannedStep> FanOut(StepDefinition step, Violations violations)
    {
        if (IsLeftOut(step, violations)) return [];
        if (!step.HasEntries) return [new PlannedStep(step.Id, step, null, null)];
        List<PlannedStep> entries = [];
        IEnumerable<(string? Key, JsonNode? Item)> items = step.ForEach switch
        {
            null => Combinations(step, violations),
            JsonObject members => members.Select(m => ((string?)m.Key, m.Value)),
            JsonArray values => values.Select(v => (KeyOf(v), v)),
            _ => [],
        };
        foreach ((int i, (string? key, JsonNode? item)) in items.Index())
        {
            string id = $"{step.Id}[{key}]";
            string path = step.ForEach is null ? $"{step.Path}.sweep" : step.ForEach is JsonObject ? $"{step.Path}.for_each.{key}" : $"{step.Path}.for_each[{i}]";
            if (i >= MaxEntries)
            {
                violations.Add(path, $"has more than {MaxEntries} entries");
                break;
            }
            if (key is null or "key" || !EntryKey().IsMatch(key))
                violations.Add(path, "must be named by 1 to 64 letters, digits and _ - . : / +, other than \"key\"; a list's entries are their own names, and may refer to parameters only");
            else if (entries.Exists(e => e.Id == id))
                violations.Add(path, $"\"{key}\" is there twice");
            else
                entries.Add(new PlannedStep(id, step, $"[{key}]", item));
        }
        return entries;
    }

    private bool IsLeftOut(StepDefinition step, Violations violations)
    {
        JsonNode? when = Template.Resolve(step.When, (Reference r, out JsonNode? v) => Find(r, _ => null, out v));
        if (when?.GetValueKind() is not (null or JsonValueKind.True or JsonValueKind.False)) violations.Add($"{step.Path}.when", "must be true, false or a reference to a parameter of type bool");
        return when?.GetValueKind() == JsonValueKind.False;
    }

    /// <summary>Every combination of a sweep's lists: "ef2_pfrac0.5", {"ef": 2, "pfrac": 0.5}.</summary>
    private IEnumerable<(string? Key, JsonNode? Item)> Combinations(StepDefinition step, Violations violations)
    {
        IEnumerable<(string Key, JsonObject Item)> all = [("", [])];
        foreach ((string name, JsonNode? list) in step.Sweep!)
        {
            if (Template.Resolve(list, (Reference r, out JsonNode? v) => Find(r, _ => null, out v)) is not JsonArray { Count: > 0 } values || values.Any(value => value is not JsonValue))
            {
                violations.Add($"{step.Path}.sweep.{name}", "must be a list of values or a reference to a parameter of type numbers");
                return [];
            }
            all = all.SelectMany(one => values.Select(value => (
                $"{one.Key}{(one.Key.Length > 0 ? "_" : "")}{name}{CanonicalJson.Embed(value)}",
                new JsonObject(one.Item.Append(KeyValuePair.Create(name, value)).Select(m => KeyValuePair.Create(m.Key, m.Value?.DeepClone()))))));
        }
        return all.Select(one => ((string?)one.Key, (JsonNode?)one.Item));
    }

    private string? KeyOf(JsonNode? entry)
    {
        JsonNode? value = Template.Resolve(entry, (Reference r, out JsonNode? v) => Find(r, _ => null, out v));
        return value is JsonValue ? CanonicalJson.Embed(value) : null;
    }

    private HashSet<string> NeedsOf(PlannedStep step)
    {
        IEnumerable<string> explicitly = step.Definition.Needs.SelectMany(need => _byDefinition[need]).Select(s => s.Id);
        IEnumerable<string> referred = Template.References(step.Definition.With, "").Concat(Template.References(step.Item, ""))
            .Select(r => r.Reference).OfType<Reference>().Where(r => r.Root == "steps")
            .SelectMany(r => _byDefinition[r.Name!].Where(s => r.Key is null or Reference.Every || s.Key == r.For(step.Key).Key)).Select(s => s.Id);
        return [.. explicitly.Concat(referred)];
    }

    [GeneratedRegex("^[A-Za-z0-9_.:/+-]{1,64}$")]
    private static partial Regex EntryKey();
}
