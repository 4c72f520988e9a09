using System.Text.Json;
using System.Text.Json.Nodes;

namespace Lab.Gateway.Definitions;

/// <summary>
/// What a metric of a report may be: a number or a reference to one, {ratio: [a, b]} (a / b) or {mean: [a, b, ...]}, with
/// expressions inside. A reference to a list, such as "${steps.train[*].metrics.loss}", stands for its entries in a mean.
/// </summary>
internal static class MetricExpression
{
    /// <summary>What is wrong with the form of an expression, or null.</summary>
    public static string? Fault(JsonNode? expression) => expression switch
    {
        JsonObject { Count: 1 } form => form.Single() switch
        {
            ("ratio", JsonArray { Count: 2 } pair) => pair.Select(Fault).FirstOrDefault(f => f is not null),
            ("mean", JsonArray { Count: > 0 } items) => items.Select(Fault).FirstOrDefault(f => f is not null),
            ("mean", JsonValue value) => Fault(value),
            ("ratio", _) => "a ratio takes a list of two",
            ("mean", _) => "a mean takes a list",
            _ => "must be a number, a reference, {ratio: [a, b]} or {mean: [a, b, ...]}",
        },
        JsonValue value when value.GetValueKind() is JsonValueKind.Number or JsonValueKind.String => null,
        _ => "must be a number, a reference, {ratio: [a, b]} or {mean: [a, b, ...]}",
    };

    /// <summary>Whether a resolved expression is the mean of a list without entries: there is no value, and that is no fault.</summary>
    public static bool IsEmpty(JsonNode? expression) =>
        expression is JsonObject { Count: 1 } form && form["mean"] is JsonArray items && items.All(item => item is JsonArray { Count: 0 });

    /// <summary>The value of a resolved expression of right form; null if something in it is not a number.</summary>
    public static double? Evaluate(JsonNode? expression) => expression switch
    {
        JsonObject { Count: 1 } form when form["ratio"] is JsonArray pair => Evaluate(pair[0]) / Evaluate(pair[1]),
        JsonObject { Count: 1 } form when form["mean"] is JsonArray items => Mean(items),
        _ => JsonNumbers.AsNumber(expression),
    };

    private static double? Mean(JsonArray items)
    {
        double?[] values = [.. items.SelectMany(item => item is JsonArray inner ? inner.Select(Evaluate) : [Evaluate(item)])];
        return values.Length == 0 || values.Any(v => v is null) ? null : values.Average();
    }
}
