using Lab.Protos.Experiment.V1;

namespace Lab.Gateway.Reports;

/// <summary>How a step is called in a report: by the item of its for_each ("sparse" of "prune[sparse]"), otherwise by its ID.</summary>
internal static class StepLabels
{
    public static string Of(StepRun step) => Of(step.Id);

    public static string Of(string stepId)
    {
        int open = stepId.IndexOf('[', StringComparison.Ordinal);
        return open > 0 && stepId.EndsWith(']') ? stepId[(open + 1)..^1] : stepId;
    }
}
