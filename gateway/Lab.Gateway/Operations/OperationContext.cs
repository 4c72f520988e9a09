using System.Text.Json.Nodes;
using Lab.Protos.Run.V1;

namespace Lab.Gateway.Operations;

/// <summary>One execution of a step.</summary>
/// <param name="With">The inputs, all references resolved.</param>
/// <param name="RunId">The ID for the run of another service that does the work; equal for equal work.</param>
/// <param name="Report">Told whenever there is progress: the resource that does the work ("trainingRuns/step-0a1b"), and where it stands.</param>
internal sealed record OperationContext(JsonObject With, string RunId, Action<string, RunStatus> Report)
{
    /// <summary>
    /// Told when the work was changed by others, so that its outputs are not what the inputs ask for: whether it had ended before this
    /// execution, which then should not use it.
    /// </summary>
    public Action<bool> Altered { get; init; } = _ => { };
}
