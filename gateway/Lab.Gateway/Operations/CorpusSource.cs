using System.Text.Json;
using System.Text.Json.Nodes;

namespace Lab.Gateway.Operations;

/// <summary>Lets a corpus step name its source in one word, which a parameter can give: "source: ${parameters.corpus}".</summary>
internal static class CorpusSource
{
    private const string Key = "source";

    /// <summary>
    /// "python-stdlib" becomes <c>python_standard_library: {}</c>, "generated", "idioms" and "dialogue" become fields of the same
    /// name with all defaults, anything else <c>folder: {path: ...}</c>.
    /// </summary>
    public static JsonObject Rewrite(JsonObject with)
    {
        if (with[Key] is not JsonValue value || value.GetValueKind() != JsonValueKind.String) return with;
        JsonObject config = with.DeepClone().AsObject();
        _ = config.Remove(Key);
        (string field, JsonObject source) = value.GetValue<string>() switch
        {
            "python-stdlib" => ("python_standard_library", new JsonObject()),
            "generated" or "idioms" or "dialogue" => (value.GetValue<string>(), []),
            string path => ("folder", new JsonObject { ["path"] = path }),
        };
        return config.TryAdd(field, source) ? config : with;
    }
}
