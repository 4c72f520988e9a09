using System.Security.Cryptography;
using Google.Protobuf;
using Lab.Models.Interventions;
using Lab.ServiceDefaults.Errors;
using Lab.Tensors;
using Proto = Lab.Protos.ModelHost.V1;

namespace Lab.ModelHost.Mapping;

/// <summary>Selectors and interventions of requests.</summary>
internal static class InterventionMapping
{
    /// <summary>The most selectors or interventions of one request.</summary>
    private const int MaxCount = 4096;

    /// <summary>Selectors of captures.</summary>
    public static IReadOnlyList<ActivationSelector> ToCore(this IReadOnlyCollection<Proto.Selector> selectors, string field)
    {
        RequireCount(selectors.Count, field);
        return [.. selectors.Select(ToCore)];
    }

    /// <summary>Interventions; each has a selector and an operation.</summary>
    public static IReadOnlyList<Intervention> ToCore(this IReadOnlyCollection<Proto.Intervention> interventions, string field)
    {
        RequireCount(interventions.Count, field);
        return [.. interventions.Select((intervention, i) => ToCore(intervention, $"{field}[{i}]"))];
    }

    /// <summary>The SHA-256 of the deterministic serialization, in hexadecimal.</summary>
    public static string Hash(this Proto.Intervention intervention)
    {
        byte[] bytes = new byte[intervention.CalculateSize()];
        CodedOutputStream output = new(bytes) { Deterministic = true };
        intervention.WriteTo(output);
        output.Flush();
        return Convert.ToHexStringLower(SHA256.HashData(bytes));
    }

    private static ActivationSelector ToCore(Proto.Selector selector) => new(selector.Hook)
    {
        Rows = [.. selector.Rows],
        Positions = [.. selector.Positions],
        Heads = [.. selector.Heads],
        Channels = [.. selector.Channels],
    };

    private static Intervention ToCore(Proto.Intervention intervention, string field)
    {
        if (intervention.Selector is null) throw new InvalidRequestException($"{field}.selector", "A selector is required.");
        InterventionOperation operation = intervention.OperationCase switch
        {
            Proto.Intervention.OperationOneofCase.Set => new InterventionOperation.Set(Value(intervention.Set.Value, $"{field}.set.value")),
            Proto.Intervention.OperationOneofCase.Add => new InterventionOperation.Add(
                Value(intervention.Add.Value, $"{field}.add.value"), intervention.Add.HasCoefficient ? intervention.Add.Coefficient : 1),
            Proto.Intervention.OperationOneofCase.Scale => new InterventionOperation.Scale(intervention.Scale.Factor),
            Proto.Intervention.OperationOneofCase.Zero => new InterventionOperation.Zero(),
            Proto.Intervention.OperationOneofCase.Mean => new InterventionOperation.Mean(
                intervention.Mean.Value is null ? null : Value(intervention.Mean.Value, $"{field}.mean.value")),
            Proto.Intervention.OperationOneofCase.Patch => new InterventionOperation.Patch(intervention.Patch.SourceRow),
            _ => throw new InvalidRequestException(field, "An operation is required: set, add, scale, zero, mean or patch."),
        };
        return new Intervention(ToCore(intervention.Selector), operation, intervention.AllowUnfired);
    }

    private static HostTensor Value(Protos.Tensor.V1.Tensor? value, string field) =>
        value is null ? throw new InvalidRequestException(field, "A value is required.") : value.ToHost(field);

    private static void RequireCount(int count, string field)
    {
        if (count > MaxCount) throw new InvalidRequestException(field, $"There are {count}; the most is {MaxCount}.");
    }
}
