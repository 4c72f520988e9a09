using System.Text.Json.Nodes;
using Google.Protobuf.WellKnownTypes;
using Lab.Gateway.Operations;
using Lab.ServiceDefaults.Errors;

namespace Lab.Gateway.Definitions;

/// <summary>Makes a checked plan of a YAML text and parameter values.</summary>
internal sealed class ExperimentPlanner(OperationRegistry operations)
{
    /// <exception cref="InvalidRequestException">All that is wrong, by field: "yaml", "steps[0].with.steps", "parameters.seed".</exception>
    public ExperimentPlan Plan(string yaml, Struct? parameters)
    {
        Violations violations = new();
        ExperimentDefinition? definition = DefinitionReader.Read(yaml, violations);
        if (definition is null)
        {
            violations.ThrowIfAny();
            throw new InvalidRequestException("yaml", "holds no experiment");
        }

        JsonObject bound = ParameterBinder.Bind(definition, parameters, violations);
        ExperimentPlan plan = new(definition, bound, violations);
        new PlanCheck(plan, operations, violations).Run();
        violations.ThrowIfAny();
        return plan;
    }
}
