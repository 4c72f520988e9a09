using System.Text.Json;
using System.Text.Json.Nodes;

namespace Lab.Gateway.Definitions;

/// <summary>Takes the members of a mapping one by one by name and type, and reports those that are wrong or left over.</summary>
internal sealed class ObjectReader(JsonObject members, string path, Violations violations)
{
    private readonly HashSet<string> _taken = [];

    public string PathOf(string key) => path.Length == 0 ? key : $"{path}.{key}";

    public JsonNode? Any(string key)
    {
        _ = _taken.Add(key);
        return members[key];
    }

    public string Text(string key, bool isRequired = false)
    {
        JsonNode? value = Any(key);
        if (value?.GetValueKind() == JsonValueKind.String && value.GetValue<string>() is { Length: > 0 } text) return text;
        if (value is not null) violations.Add(PathOf(key), "must be a text that is not empty");
        else if (isRequired) violations.Add(PathOf(key), "is required");
        return "";
    }

    public double? Number(string key)
    {
        JsonNode? value = Any(key);
        if (value?.GetValueKind() == JsonValueKind.Number) return JsonNumbers.ToDouble(value);
        if (value is not null) violations.Add(PathOf(key), "must be a number");
        return null;
    }

    public JsonObject Object(string key)
    {
        JsonNode? value = Any(key);
        if (value is not (null or JsonObject)) violations.Add(PathOf(key), "must be a mapping");
        return value as JsonObject ?? [];
    }

    public JsonArray Array(string key, bool isRequired = false)
    {
        JsonNode? value = Any(key);
        if (value is not (null or JsonArray)) violations.Add(PathOf(key), "must be a list");
        else if (isRequired && value is not JsonArray { Count: > 0 }) violations.Add(PathOf(key), "must have at least one entry");
        return value as JsonArray ?? [];
    }

    /// <summary>Reports every member that was not taken.</summary>
    public void Finish()
    {
        foreach ((string key, _) in members)
            if (!_taken.Contains(key))
                violations.Add(PathOf(key), $"is unknown; known here are {string.Join(", ", _taken.Order(StringComparer.Ordinal))}");
    }
}
