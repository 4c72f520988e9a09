using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Lab.Gateway.Definitions;

/// <summary>What stands between "${" and "}": "parameters.seed", "steps.prune[sparse].evaluation.edges", "item".</summary>
/// <param name="Text">As it is written.</param>
/// <param name="Root">"parameters", "steps", "item" or "key".</param>
/// <param name="Path">What follows: names, and keys in brackets with their brackets.</param>
internal sealed partial record Reference(string Text, string Root, IReadOnlyList<string> Path)
{
    public const string Every = "[*]";

    /// <summary>"${steps.train[key].model}": of the entry that has the same name as the one that refers to it.</summary>
    public const string Own = "[key]";

    /// <summary>The parameter or step that is named; null in a reference to an entry.</summary>
    public string? Name => IsOfEntry || Path.Count == 0 ? null : Path[0];

    /// <summary>Whether it is known only inside a step with for_each: "item" (the entry's value) and "key" (its name).</summary>
    public bool IsOfEntry => Root is "item" or "key";

    /// <summary>The "[key]" after a step's ID, or null.</summary>
    public string? Key => Root == "steps" && Path.Count > 1 && Path[1][0] == '[' ? Path[1] : null;

    /// <summary>The reference as an entry means it: <see cref="Own"/> becomes its key.</summary>
    public Reference For(string? key) => Key == Own && key is not null ? this with { Path = [Path[0], key, .. Path.Skip(2)] } : this;

    /// <summary>The path inside the value that is named.</summary>
    public IEnumerable<string> Rest => Path.Skip(IsOfEntry ? 0 : Key is null ? 1 : 2);

    /// <summary>Null if the text is no reference.</summary>
    public static Reference? Parse(string text)
    {
        Match match = Grammar().Match(text.Trim());
        if (!match.Success) return null;
        string root = match.Groups["root"].Value;
        string[] path = [.. match.Groups["segment"].Captures.Select(c => c.Value.TrimStart('.'))];
        bool isNamed = root switch { "key" => path.Length == 0, "item" => true, _ => path.Length > 0 && path[0][0] != '[' };
        return isNamed ? new Reference(text, root, path) : null;
    }

    /// <summary>
    /// Follows a path. "[0]" takes an item of a list or a member, "[*]" what the rest of the path leads to in the items that
    /// have it: a message leaves out what is not set. Keys may hold dots ("metrics.circuit.nodes" with a member "circuit.nodes"): the longest that fits is taken.
    /// False if the path leads nowhere.
    /// </summary>
    public static bool TryFollow(JsonNode? value, ReadOnlySpan<string> path, out JsonNode? found)
    {
        found = value;
        if (path.IsEmpty) return true;
        if (path[0][0] == '[')
        {
            string key = path[0][1..^1];
            if (path[0] == Every && value is JsonArray each)
            {
                found = InEach(each, path[1..]);
                return true;
            }

            return value switch
            {
                JsonArray items => int.TryParse(key, out int index) && index >= 0 && index < items.Count && TryFollow(items[index], path[1..], out found),
                JsonObject members => members.TryGetPropertyValue(key, out JsonNode? member) && TryFollow(member, path[1..], out found),
                _ => false,
            };
        }

        if (value is not JsonObject parent) return false;
        int names = 1;
        while (names < path.Length && path[names][0] != '[') names++;
        for (; names > 0; names--)
        {
            string name = string.Join('.', path[..names]);
            if (parent.TryGetPropertyValue(name, out JsonNode? member) && TryFollow(member, path[names..], out found)) return true;
        }
        return false;
    }

    private static JsonArray InEach(JsonArray items, ReadOnlySpan<string> path)
    {
        JsonArray all = [];
        foreach (JsonNode? item in items)
            if (TryFollow(item, path, out JsonNode? one)) all.Add(one?.DeepClone());
        return all;
    }

    [GeneratedRegex(@"^(?<root>parameters|steps|item|key)(?<segment>\.[A-Za-z0-9_][A-Za-z0-9_-]*|\[[^\[\]]+\])*$")]
    private static partial Regex Grammar();
}
