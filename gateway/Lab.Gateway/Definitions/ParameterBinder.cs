using System.Text.Json.Nodes;
using Google.Protobuf.WellKnownTypes;
using Lab.Gateway.Operations;

namespace Lab.Gateway.Definitions;

/// <summary>Fills a definition's parameters from a request.</summary>
internal static class ParameterBinder
{
    /// <summary>All parameters in the order of the definition: the given values, else the defaults. Those with faults are left out.</summary>
    public static JsonObject Bind(ExperimentDefinition definition, Struct? given, Violations violations)
    {
        var values = given?.Fields.ToDictionary(f => f.Key, f => f.Value) ?? [];
        JsonObject bound = [];
        foreach (ParameterDefinition parameter in definition.Parameters)
        {
            JsonNode? value = values.Remove(parameter.Name, out Value? own) ? ProtoJson.ToJson(own) : parameter.Default;
            if (own is null && value is null)
                violations.AddPlain($"parameters.{parameter.Name}", "has no default, so a value is required");
            else if (parameter.Fault(value) is string fault)
                violations.AddPlain($"parameters.{parameter.Name}", fault);
            else
                bound[parameter.Name] = parameter.Normalise(value);
        }

        foreach (string unknown in values.Keys)
            violations.AddPlain($"parameters.{unknown}", $"is no parameter of {definition.Name}; it has {string.Join(", ", definition.Parameters.Select(p => p.Name))}");
        return bound;
    }
}
