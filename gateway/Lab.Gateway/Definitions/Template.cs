using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Lab.Gateway.Definitions;

/// <summary>
/// JSON whose strings may hold references, as "${...}". A string that is just one reference stands for the value itself, of whatever
/// type; others take the value's text. "$${" writes "${".
/// </summary>
internal static partial class Template
{
    /// <summary>Gives the value of a reference; false if it is not known (yet).</summary>
    public delegate bool Lookup(Reference reference, out JsonNode? value);

    /// <summary>The references of a value with the path that each stands at, and the texts between braces that are none.</summary>
    public static IEnumerable<(string Path, Reference? Reference, string Text)> References(JsonNode? value, string path) => value switch
    {
        JsonObject members => members.SelectMany(m => References(m.Value, $"{path}.{m.Key}")),
        JsonArray items => items.SelectMany((item, i) => References(item, $"{path}[{i}]")),
        JsonValue text when text.GetValueKind() == JsonValueKind.String =>
            Marks().Matches(text.GetValue<string>()).Where(m => m.Groups["body"].Success)
                .Select(m => (path, ReferenceOf(m), m.Value)),
        _ => [],
    };

    /// <summary>A copy with all references replaced; those that are not known stay as they are.</summary>
    public static JsonNode? Resolve(JsonNode? value, Lookup lookup) => value switch
    {
        JsonObject members => new JsonObject(members.Select(m => KeyValuePair.Create(m.Key, Resolve(m.Value, lookup)))),
        JsonArray items => new JsonArray([.. items.Select(item => Resolve(item, lookup))]),
        JsonValue text when text.GetValueKind() == JsonValueKind.String => ResolveText(text.GetValue<string>(), lookup),
        _ => value?.DeepClone(),
    };

    private static JsonNode? ResolveText(string text, Lookup lookup)
    {
        Match whole = Marks().Match(text);
        if (whole.Length == text.Length && Find(whole, lookup, out JsonNode? value)) return value?.DeepClone();
        StringBuilder result = new();
        int end = 0;
        foreach (Match mark in Marks().Matches(text))
        {
            _ = result.Append(text, end, mark.Index - end);
            end = mark.Index + mark.Length;
            _ = result.Append(mark.Value == "$${" ? "${" : Find(mark, lookup, out JsonNode? part) ? CanonicalJson.Embed(part) : mark.Value);
        }
        return JsonValue.Create(result.Append(text, end, text.Length - end).ToString());
    }

    private static bool Find(Match mark, Lookup lookup, out JsonNode? value)
    {
        value = null;
        return ReferenceOf(mark) is Reference reference && lookup(reference, out value);
    }

    private static Reference? ReferenceOf(Match mark) =>
        mark.Groups["body"].Success && mark.Value[^1] == '}' ? Reference.Parse(mark.Groups["body"].Value) : null;

    [GeneratedRegex(@"\$\$\{|\$\{(?<body>[^}]*)\}?")]
    private static partial Regex Marks();
}
