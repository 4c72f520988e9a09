using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Lab.Gateway.Definitions;

internal static class JsonNumbers
{
    /// <summary>The value of a JSON number, whichever type it is kept as.</summary>
    public static double ToDouble(JsonNode number) => number.AsValue() switch
    {
        var v when v.TryGetValue(out double d) => d,
        var v when v.TryGetValue(out long l) => l,
        var v => double.Parse(v.ToJsonString(), CultureInfo.InvariantCulture),
    };

    /// <summary>
    /// The number that a JSON value stands for, or null if it stands for none: numbers, true and false as 1 and 0, and the texts
    /// that protobuf writes for large integers and for NaN and the infinities.
    /// </summary>
    public static double? AsNumber(JsonNode? value) => value?.GetValueKind() switch
    {
        JsonValueKind.Number => ToDouble(value),
        JsonValueKind.True => 1,
        JsonValueKind.False => 0,
        JsonValueKind.String => double.TryParse(value.GetValue<string>(), NumberStyles.Float, CultureInfo.InvariantCulture, out double n) ? n : null,
        _ => null,
    };
}
