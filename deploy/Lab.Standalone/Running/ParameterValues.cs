using System.Globalization;
using Google.Protobuf.WellKnownTypes;
using Lab.Protos.Experiment.V1;

namespace Lab.Standalone.Running;

/// <summary>Reads `--set name=value` by the types of an experiment's parameters.</summary>
internal static class ParameterValues
{
    /// <summary>The values that are set; those of one name given twice count last.</summary>
    /// <exception cref="CommandException">One has no "=", is unknown, or is not of its type.</exception>
    public static Struct Parse(string experiment, IReadOnlyList<string> assignments, IReadOnlyList<Parameter> known)
    {
        var values = new Struct();
        foreach (string assignment in assignments)
        {
            int equals = assignment.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0) throw CommandException.Usage($"--set {assignment}: write name=value.");
            string name = assignment[..equals];
            Parameter parameter = known.FirstOrDefault(parameter => parameter.Name == name) ?? throw Unknown(experiment, name, known);
            values.Fields[name] = Parse(parameter, assignment[(equals + 1)..]);
        }

        return values;
    }

    /// <summary>All parameters of a run: the defaults, and over them what is set.</summary>
    public static Struct WithDefaults(Struct set, IReadOnlyList<Parameter> known)
    {
        var all = new Struct();
        foreach (Parameter parameter in known)
        {
            if (set.Fields.TryGetValue(parameter.Name, out Value? value)) all.Fields[parameter.Name] = value;
            else if (parameter.DefaultValue is { KindCase: not (Value.KindOneofCase.None or Value.KindOneofCase.NullValue) }) all.Fields[parameter.Name] = parameter.DefaultValue;
        }

        return all;
    }

    private static Value Parse(Parameter parameter, string text) => parameter.Type switch
    {
        "int" when long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number) => Value.ForNumber(number),
        "number" when double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) && double.IsFinite(number) => Value.ForNumber(number),
        "numbers" when Numbers(text) is { } numbers => Value.ForList(numbers),
        "bool" when bool.TryParse(text, out bool isTrue) => Value.ForBool(isTrue),
        "string" => Value.ForString(text),
        _ => throw CommandException.Usage($"--set {parameter.Name}={text}: must be {Article(parameter.Type)}."),
    };

    private static Value[]? Numbers(string text)
    {
        double[] numbers = [.. text.Split(',').Select(part => double.TryParse(part, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) ? number : double.NaN)];
        return numbers.All(double.IsFinite) ? [.. numbers.Select(Value.ForNumber)] : null;
    }

    private static string Article(string type) => type switch
    {
        "int" => "a whole number",
        "number" => "a number",
        "numbers" => "numbers with commas between",
        "bool" => "true or false",
        _ => $"of the type '{type}', which this version of lab does not know",
    };

    private static CommandException Unknown(string experiment, string name, IReadOnlyList<Parameter> known) => CommandException.Usage(
        known.Count == 0
            ? $"--set {name}: the experiment {experiment} has no parameters."
            : $"--set {name}: the experiment {experiment} has no such parameter. It has:\n" + string.Join('\n', known.Select(Line)));

    private static string Line(Parameter parameter) =>
        $"  {parameter.Name} ({parameter.Type}{(parameter.DefaultValue is { } value ? $", default {Text(value)}" : "")})  {parameter.Description}".TrimEnd();

    /// <summary>A value as one would type it.</summary>
    public static string Text(Value value) => value.KindCase switch
    {
        Value.KindOneofCase.StringValue => value.StringValue,
        Value.KindOneofCase.NumberValue => value.NumberValue.ToString(CultureInfo.InvariantCulture),
        Value.KindOneofCase.BoolValue => value.BoolValue ? "true" : "false",
        Value.KindOneofCase.ListValue => string.Join(',', value.ListValue.Values.Select(Text)),
        Value.KindOneofCase.None or Value.KindOneofCase.NullValue => "none",
        _ => value.ToString(),
    };
}
