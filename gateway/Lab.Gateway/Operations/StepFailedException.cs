using Google.Rpc;

namespace Lab.Gateway.Operations;

/// <summary>The work of a step has failed for good, with the status that its service gave.</summary>
internal sealed class StepFailedException(Status status) : Exception(status.Message)
{
    public Status Status { get; } = status;
}
