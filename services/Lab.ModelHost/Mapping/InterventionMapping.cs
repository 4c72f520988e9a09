using System.Security.Cryptography;
using Google.Protobuf;
using Lab.ModelHost.Sources;
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
        return [.. selectors.Select((selector, i) => ToCore(selector, $"{field}[{i}]"))];
    }

    /// <summary>Interventions; each has a selector and an operation.</summary>
    public static IReadOnlyList<Intervention> ToCore(this IReadOnlyCollection<Proto.Intervention> interventions, string field)
    {
        RequireCount(interventions.Count, field);
        return [.. interventions.Select((intervention, i) => ToCore(intervention, $"{field}[{i}]"))];
    }

    /// <summary>The SHA-256 of a message's deterministic serialization, in hexadecimal.</summary>
    public static string Hash(this IMessage message)
    {
        byte[] bytes = new byte[message.CalculateSize()];
        CodedOutputStream output = new(bytes) { Deterministic = true };
        message.WriteTo(output);
        output.Flush();
        return Convert.ToHexStringLower(SHA256.HashData(bytes));
    }

    /// <summary>One selector.</summary>
    public static ActivationSelector ToCore(this Proto.Selector selector, string field)
    {
        Unsupported.Require(selector.Hooks.Count == 0, $"{field}.hooks");
        Unsupported.Require(selector.Layers is null, $"{field}.layers");
        Unsupported.Require(selector.PositionRanges.Count == 0, $"{field}.position_ranges");
        Unsupported.Require(selector.TokenIds.Count == 0, $"{field}.token_ids");
        Unsupported.Require(selector.Texts.Count == 0, $"{field}.texts");
        Unsupported.Require(selector.From is null, $"{field}.from");
        Unsupported.Require(selector.Steps is null, $"{field}.steps");
        Unsupported.Require(selector.Phase is Proto.Phase.Unspecified or Proto.Phase.Both, $"{field}.phase");
        return new ActivationSelector(selector.Hook)
        {
            Rows = [.. selector.Rows],
            Positions = [.. selector.Positions],
            Heads = [.. selector.Heads],
            Channels = [.. selector.Channels],
        };
    }

    private static Intervention ToCore(Proto.Intervention intervention, string field)
    {
        if (intervention.Selector is null) throw new InvalidRequestException($"{field}.selector", "A selector is required.");
        Unsupported.Require(intervention.OperationCase is Proto.Intervention.OperationOneofCase.None or <= Proto.Intervention.OperationOneofCase.Patch, field);
        InterventionOperation operation = intervention.OperationCase switch
        {
            Proto.Intervention.OperationOneofCase.Set => new InterventionOperation.Set(Value(intervention.Set.Value, $"{field}.set.value")),
            Proto.Intervention.OperationOneofCase.Add => ToAdd(intervention.Add, field),
            Proto.Intervention.OperationOneofCase.Scale => new InterventionOperation.Scale(intervention.Scale.Factor),
            Proto.Intervention.OperationOneofCase.Zero => new InterventionOperation.Zero(),
            Proto.Intervention.OperationOneofCase.Mean => new InterventionOperation.Mean(
                intervention.Mean.Value is null ? null : Value(intervention.Mean.Value, $"{field}.mean.value")),
            Proto.Intervention.OperationOneofCase.Patch => new InterventionOperation.Patch(intervention.Patch.SourceRow),
            _ => throw new InvalidRequestException(field, "An operation is required, such as set or add."),
        };
        return new Intervention(ToCore(intervention.Selector, $"{field}.selector"), operation, intervention.AllowUnfired);
    }

    private static InterventionOperation.Add ToAdd(Proto.AddOperation add, string field)
    {
        Unsupported.Require(add.Unit is Proto.StrengthUnit.Unspecified or Proto.StrengthUnit.Absolute, $"{field}.add.unit");
        return new InterventionOperation.Add(Value(add.Value, $"{field}.add.value"), add.HasCoefficient ? add.Coefficient : 1);
    }

    private static HostTensor Value(Proto.TensorSource? value, string field)
    {
        Unsupported.Require(value?.Stored is null, $"{field}.stored");
        return value?.Inline is { } inline ? inline.ToHost($"{field}.inline", TensorSources.MaxStoredBytes) : throw new InvalidRequestException(field, "A value is required.");
    }

    private static void RequireCount(int count, string field)
    {
        if (count > MaxCount) throw new InvalidRequestException(field, $"There are {count}; the most is {MaxCount}.");
    }
}
