using System.Text.Json.Nodes;
using Google.Protobuf.Reflection;

namespace Lab.Gateway.Operations;

/// <summary>Finds where a message that is written as JSON names artifacts, at whatever depth.</summary>
internal static class ArtifactFields
{
    /// <summary>What a text field is called that names an artifact, in every message of the lab.</summary>
    private const string Reference = "artifact";

    /// <param name="message">What <paramref name="value"/> is. Members that it does not know are passed by.</param>
    /// <param name="value">The message; anything but a mapping names nothing.</param>
    /// <param name="names">Fields of the message itself, not of those within, that name artifacts too.</param>
    /// <param name="path">Where the message stands.</param>
    public static IEnumerable<ArtifactInput> Find(MessageDescriptor message, JsonNode? value, IReadOnlyCollection<string> names, string path)
    {
        if (value is not JsonObject members) yield break;
        foreach ((string key, JsonNode? member) in members)
        {
            if (ConfigMessage.FieldOf(message, key) is not { IsMap: false } field) continue;
            string here = $"{path}.{key}";
            if (field.FieldType == FieldType.Message)
                foreach (ArtifactInput inner in FindWithin(field.MessageType, member, here)) yield return inner;
            else if (field is { FieldType: FieldType.String, IsRepeated: false } && (field.Name == Reference || names.Contains(field.Name)))
                yield return new ArtifactInput(members, key, here);
        }
    }

    private static IEnumerable<ArtifactInput> FindWithin(MessageDescriptor message, JsonNode? value, string path) => value is JsonArray items
        ? items.SelectMany((item, i) => Find(message, item, [], $"{path}[{i}]"))
        : Find(message, value, [], path);
}
