using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Lab.Gateway.Definitions;

/// <summary>One text for each JSON value: keys in ordinal order, no spaces, equal numbers written alike, members that are null left out.</summary>
internal static class CanonicalJson
{
    private static readonly JsonSerializerOptions Strings = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static string Write(JsonNode? value)
    {
        StringBuilder text = new();
        Append(text, value);
        return text.ToString();
    }

    /// <summary>A number: whole ones up to 2^53 without a point, others in the shortest form that reads back equal.</summary>
    public static string Text(double number) =>
        Math.Truncate(number) == number && Math.Abs(number) <= 1L << 53
            ? ((long)number).ToString(CultureInfo.InvariantCulture)
            : number.ToString("R", CultureInfo.InvariantCulture);

    /// <summary>A value as it reads inside other text: strings without quotes.</summary>
    public static string Embed(JsonNode? value) =>
        value?.GetValueKind() == JsonValueKind.String ? value.GetValue<string>() : Write(value);

    private static void Append(StringBuilder text, JsonNode? value)
    {
        switch (value)
        {
            case null:
                _ = text.Append("null");
                break;
            case JsonObject members:
                _ = text.Append('{');
                AppendJoined(text, members.Where(m => m.Value is not null).OrderBy(m => m.Key, StringComparer.Ordinal), (t, m) =>
                {
                    _ = t.Append(JsonSerializer.Serialize(m.Key, Strings)).Append(':');
                    Append(t, m.Value);
                });
                _ = text.Append('}');
                break;
            case JsonArray items:
                _ = text.Append('[');
                AppendJoined(text, items, Append);
                _ = text.Append(']');
                break;
            default:
                _ = text.Append(value.GetValueKind() switch
                {
                    JsonValueKind.Number when value.AsValue().TryGetValue(out long integer) => integer.ToString(CultureInfo.InvariantCulture),
                    JsonValueKind.Number => Text(JsonNumbers.ToDouble(value)),
                    JsonValueKind.String => JsonSerializer.Serialize(value.GetValue<string>(), Strings),
                    JsonValueKind.True => "true",
                    _ => "false",
                });
                break;
        }
    }

    private static void AppendJoined<T>(StringBuilder text, IEnumerable<T> items, Action<StringBuilder, T> append)
    {
        bool first = true;
        foreach (T item in items)
        {
            if (!first) _ = text.Append(',');
            first = false;
            append(text, item);
        }
    }
}
