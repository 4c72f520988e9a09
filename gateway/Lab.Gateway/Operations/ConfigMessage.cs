using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Google.Protobuf.WellKnownTypes;
using Lab.Gateway.Definitions;

namespace Lab.Gateway.Operations;

/// <summary>Checks and reads a message from JSON, naming each field that is wrong; protobuf's own parser names none.</summary>
internal static class ConfigMessage
{
    private const string UnknownYet = "${";

    /// <summary>Reports unknown fields and values of the wrong type. Strings with "${" pass.</summary>
    public static void Check(MessageDescriptor message, JsonNode? value, string path, Violations violations)
    {
        if (value is not JsonObject members)
        {
            if (value is not null && !IsUnknownYet(value)) violations.Add(path, "must be a mapping");
            return;
        }

        Dictionary<OneofDescriptor, string> chosen = [];
        foreach ((string key, JsonNode? member) in members)
        {
            string here = $"{path}.{key}";
            FieldDescriptor? field = FieldOf(message, key);
            if (field is null)
                violations.Add(here, $"is unknown; known here are {string.Join(", ", message.Fields.InDeclarationOrder().Select(f => f.Name))}");
            else if (member is not null && field.RealContainingOneof is { } oneof && !chosen.TryAdd(oneof, key))
                violations.Add(here, $"cannot be set together with {chosen[oneof]}");
            else if (field.IsMap)
                CheckMap(field, member, here, violations);
            else if (field.IsRepeated)
                CheckList(field, member, here, violations);
            else
                CheckSingle(field, member, here, violations);
        }
    }

    /// <summary>The field that a member of the JSON is, by the proto's name or by JSON's; null if there is none.</summary>
    public static FieldDescriptor? FieldOf(MessageDescriptor message, string key) =>
        message.FindFieldByName(key) ?? message.Fields.InDeclarationOrder().FirstOrDefault(f => f.JsonName == key);

    /// <summary>Whether a value holds a reference that was not resolved.</summary>
    public static bool IsUnknownYet(JsonNode value) =>
        value.GetValueKind() == JsonValueKind.String && value.GetValue<string>().Contains(UnknownYet, StringComparison.Ordinal);

    /// <summary>Reads a message from JSON that <see cref="Check"/> finds no fault with.</summary>
    public static T Parse<T>(JsonObject value) where T : IMessage<T>, new() =>
        JsonParser.Default.Parse<T>(CanonicalJson.Write(value));

    private static void CheckMap(FieldDescriptor field, JsonNode? value, string path, Violations violations)
    {
        if (value is JsonObject members)
            foreach ((string key, JsonNode? member) in members) CheckSingle(field.MessageType.FindFieldByNumber(2), member, $"{path}.{key}", violations);
        else if (value is not null && !IsUnknownYet(value))
            violations.Add(path, "must be a mapping");
    }

    private static void CheckList(FieldDescriptor field, JsonNode? value, string path, Violations violations)
    {
        if (value is JsonArray items)
            foreach ((int i, JsonNode? item) in items.Index()) CheckItem(field, item, $"{path}[{i}]", violations);
        else if (value is not null && !IsUnknownYet(value))
            violations.Add(path, "must be a list");
    }

    private static void CheckItem(FieldDescriptor field, JsonNode? value, string path, Violations violations)
    {
        if (value is null) violations.Add(path, "must not be empty");
        else CheckSingle(field, value, path, violations);
    }

    private static void CheckSingle(FieldDescriptor field, JsonNode? value, string path, Violations violations)
    {
        if (value is null || IsUnknownYet(value)) return;
        if (field.FieldType == FieldType.Message)
            CheckMessage(field.MessageType, value, path, violations);
        else if (Expected(field, value) is string expected)
            violations.Add(path, $"must be {expected}");
    }

    private static void CheckMessage(MessageDescriptor message, JsonNode value, string path, Violations violations)
    {
        // Well-known types have JSON forms of their own.
        if (message.File.Package != "google.protobuf") Check(message, value, path, violations);
        else if (!CanBeRead(message, value)) violations.Add(path, $"must be a {message.Name}{(message == Duration.Descriptor ? ", such as \"600s\"" : "")}");
    }

    private static bool CanBeRead(MessageDescriptor message, JsonNode value)
    {
        try
        {
            _ = JsonParser.Default.Parse(value.ToJsonString(), message);
            return true;
        }
        catch (Exception e) when (e is InvalidProtocolBufferException or InvalidJsonException)
        {
            return false;
        }
    }

    /// <summary>What a scalar must be where it is not; null where it is.</summary>
    private static string? Expected(FieldDescriptor field, JsonNode value)
    {
        JsonValueKind kind = value.GetValueKind();
        double? number = kind is JsonValueKind.Number or JsonValueKind.String ? JsonNumbers.AsNumber(value) : null;
        return field.FieldType switch
        {
            FieldType.Bool => kind is JsonValueKind.True or JsonValueKind.False ? null : "true or false",
            FieldType.String => kind == JsonValueKind.String ? null : "a text",
            FieldType.Bytes => kind == JsonValueKind.String && IsBase64(value.GetValue<string>()) ? null : "base64",
            FieldType.Enum => IsEnumValue(field.EnumType, value, number) ? null : $"one of {string.Join(", ", field.EnumType.Values.Select(v => v.Name))}",
            FieldType.Double or FieldType.Float => number is not null ? null : "a number",
            FieldType.Int64 or FieldType.SInt64 or FieldType.SFixed64 => IsWhole(value, number, long.MinValue, long.MaxValue) ? null : "a whole number",
            FieldType.UInt64 or FieldType.Fixed64 => IsWhole(value, number, 0, ulong.MaxValue) ? null : "a whole number that is not negative",
            FieldType.UInt32 or FieldType.Fixed32 => IsWhole(value, number, 0, uint.MaxValue) ? null : "a whole number from 0 to 4294967295",
            _ => IsWhole(value, number, int.MinValue, int.MaxValue) ? null : "a whole number of 32 bits",
        };
    }

    private static bool IsWhole(JsonNode value, double? number, decimal least, decimal most) =>
        number is double n && Math.Truncate(n) == n
        && decimal.TryParse(CanonicalJson.Embed(value), NumberStyles.Float, CultureInfo.InvariantCulture, out decimal exact)
        && exact >= least && exact <= most;

    private static bool IsEnumValue(EnumDescriptor type, JsonNode value, double? number) =>
        value.GetValueKind() == JsonValueKind.String
            ? type.FindValueByName(value.GetValue<string>()) is not null
            : number is double n && type.Values.Any(v => v.Number == n);

    private static bool IsBase64(string text) => Convert.TryFromBase64String(text, new byte[text.Length], out _);
}
