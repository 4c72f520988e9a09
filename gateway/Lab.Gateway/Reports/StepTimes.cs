using Google.Protobuf.WellKnownTypes;
using Lab.Protos.Experiment.V1;

namespace Lab.Gateway.Reports;

/// <summary>How long steps took.</summary>
internal static class StepTimes
{
    /// <summary>
    /// The seconds that the step's work took. For a cached step these are of the run that computed it, as its outputs say.
    /// </summary>
    public static double Seconds(StepRun step)
    {
        if (step.Outputs?.Fields.TryGetValue("seconds", out Value? seconds) == true && seconds.HasNumberValue) return seconds.NumberValue;
        return step.Status is { StartTime: Timestamp start, EndTime: Timestamp end } ? (end.ToDateTimeOffset() - start.ToDateTimeOffset()).TotalSeconds : 0;
    }
}
