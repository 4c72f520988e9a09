using System.Globalization;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Google.Protobuf.WellKnownTypes;

namespace Lab.Gateway.Operations;

/// <summary>Messages as JSON with the names of the proto, defaults written out, and 64-bit integers as numbers.</summary>
internal static class ProtoJson
{
    private static readonly JsonFormatter Formatter =
        new(JsonFormatter.Settings.Default.WithPreserveProtoFieldNames(true).WithFormatDefaultValues(true));

    private const long MaxExact = 1L << 53;

    public static JsonObject ToJson(IMessage message)
    {
        JsonObject json = JsonNode.Parse(Formatter.Format(message))!.AsObject();
        return message is Struct ? json : Number(message.Descriptor, json);
    }

    public static Struct ToStruct(JsonObject json) => JsonParser.Default.Parse<Struct>(json.ToJsonString());

    public static Value ToValue(JsonNode json) => JsonParser.Default.Parse<Value>(json.ToJsonString());

    /// <summary>A value of JSON. Numbers that JSON cannot write (NaN, the infinities) come back as null.</summary>
    public static JsonNode? ToJson(Value value) => value.KindCase switch
    {
        Value.KindOneofCase.NumberValue when double.IsFinite(value.NumberValue) => JsonValue.Create(value.NumberValue),
        Value.KindOneofCase.StringValue => JsonValue.Create(value.StringValue),
        Value.KindOneofCase.BoolValue => JsonValue.Create(value.BoolValue),
        Value.KindOneofCase.StructValue => new JsonObject(value.StructValue.Fields.Select(f => KeyValuePair.Create(f.Key, ToJson(f.Value)))),
        Value.KindOneofCase.ListValue => new JsonArray([.. value.ListValue.Values.Select(ToJson)]),
        _ => null,
    };

    private static JsonObject Number(MessageDescriptor message, JsonObject json) =>
        new(json.Select(member => KeyValuePair.Create(member.Key, Number(message.FindFieldByName(member.Key), member.Value))));

    private static JsonNode? Number(FieldDescriptor field, JsonNode? value) => value switch
    {
        JsonObject members when field.IsMap =>
            new JsonObject(members.Select(m => KeyValuePair.Create(m.Key, NumberSingle(field.MessageType.FindFieldByNumber(2), m.Value)))),
        JsonArray items when field.IsRepeated => new JsonArray([.. items.Select(item => NumberSingle(field, item))]),
        _ => NumberSingle(field, value),
    };

    // Protobuf writes 64-bit integers as strings, which is in the way of reading and computing.
    private static JsonNode? NumberSingle(FieldDescriptor field, JsonNode? value) => field.FieldType switch
    {
        FieldType.Message when value is JsonObject inner && field.MessageType.File.Package != "google.protobuf" => Number(field.MessageType, inner),
        FieldType.Int64 or FieldType.SInt64 or FieldType.SFixed64 when value is not null
            && long.Parse(value.GetValue<string>(), CultureInfo.InvariantCulture) is var n && Math.Abs(n) <= MaxExact => JsonValue.Create(n),
        FieldType.UInt64 or FieldType.Fixed64 when value is not null
            && ulong.Parse(value.GetValue<string>(), CultureInfo.InvariantCulture) is var n && n <= MaxExact => JsonValue.Create(n),
        _ => value?.DeepClone(),
    };
}
