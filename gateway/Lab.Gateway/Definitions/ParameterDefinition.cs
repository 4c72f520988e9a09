using System.Text.Json.Nodes;

namespace Lab.Gateway.Definitions;

/// <summary>A parameter of an experiment.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">"int", "number", "numbers" (a list of at least one), "string" or "bool".</param>
/// <param name="Default">Null if a value must be given.</param>
/// <param name="Description">What it does.</param>
/// <param name="Minimum">The least value of a number, itself allowed.</param>
/// <param name="Maximum">The greatest value of a number, itself allowed.</param>
internal sealed record ParameterDefinition(
    string Name, string Type, JsonNode? Default, string Description, double? Minimum, double? Maximum)
{
    public static readonly string[] Types = ["int", "number", "numbers", "string", "bool"];

    private const int MostNumbers = 256;

    // Parameters travel as google.protobuf.Value, whose numbers are doubles.
    private const double MaxInteger = 1L << 53;

    /// <summary>What is wrong with a value, or null.</summary>
    public string? Fault(JsonNode? value)
    {
        JsonNode? normal = Normalise(value);
        return normal is null ? $"must be {Article}"
            : normal is JsonArray numbers ? numbers.Select(FaultOfNumber).FirstOrDefault(fault => fault is not null)
            : FaultOfNumber(normal);
    }

    /// <summary>The value as its type's JSON (numbers as doubles), or null if it has another type.</summary>
    public JsonNode? Normalise(JsonNode? value) => (Type, value?.GetValueKind()) switch
    {
        ("int", System.Text.Json.JsonValueKind.Number) when JsonNumbers.ToDouble(value!) is double n && Math.Truncate(n) == n && Math.Abs(n) <= MaxInteger => JsonValue.Create(n),
        ("number", System.Text.Json.JsonValueKind.Number) => JsonValue.Create(JsonNumbers.ToDouble(value!)),
        ("numbers", System.Text.Json.JsonValueKind.Array) => Numbers(value!.AsArray()),
        ("string", System.Text.Json.JsonValueKind.String) => value!.DeepClone(),
        ("bool", System.Text.Json.JsonValueKind.True or System.Text.Json.JsonValueKind.False) => value!.DeepClone(),
        _ => null,
    };

    private static JsonArray? Numbers(JsonArray items) =>
        items.Count is > 0 and <= MostNumbers && items.All(item => item?.GetValueKind() == System.Text.Json.JsonValueKind.Number)
            ? new JsonArray([.. items.Select(item => JsonValue.Create(JsonNumbers.ToDouble(item!)))])
            : null;

    private string? FaultOfNumber(JsonNode? value) =>
        value?.GetValueKind() != System.Text.Json.JsonValueKind.Number ? null
        : value.GetValue<double>() < Minimum ? $"must be at least {CanonicalJson.Text(Minimum.Value)}"
        : value.GetValue<double>() > Maximum ? $"must be at most {CanonicalJson.Text(Maximum.Value)}"
        : null;

    private string Article => Type switch
    {
        "int" => "a whole number of at most 2^53 in size",
        "number" => "a number",
        "numbers" => $"a list of 1 to {MostNumbers} numbers",
        "string" => "a text",
        _ => "true or false",
    };
}
