using System.Text.RegularExpressions;
using Google.Protobuf.WellKnownTypes;
using Lab.Protos.Experiment.V1;

namespace Lab.Gateway.Reports;

/// <summary>Finds the digests of artifacts in a step's outputs.</summary>
internal static partial class StepDigests
{
    /// <summary>The output in which a run resource repeats what was asked for: its digests are inputs.</summary>
    private const string Config = "config";

    [GeneratedRegex("^sha256:[0-9a-f]{64}$")]
    private static partial Regex Digest { get; }

    public static IEnumerable<string> Outputs(StepRun step) =>
        step.Outputs is null ? [] : step.Outputs.Fields.Where(output => output.Key != Config).SelectMany(output => In(output.Value)).Distinct();

    private static IEnumerable<string> In(Value value) => value.KindCase switch
    {
        Value.KindOneofCase.StringValue when Digest.IsMatch(value.StringValue) => [value.StringValue],
        Value.KindOneofCase.ListValue => value.ListValue.Values.SelectMany(In),
        Value.KindOneofCase.StructValue => value.StructValue.Fields.Values.SelectMany(In),
        _ => [],
    };
}
