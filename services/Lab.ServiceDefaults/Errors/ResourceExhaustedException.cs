using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Google.Rpc;

namespace Lab.ServiceDefaults.Errors;

/// <summary>A queue, a budget or a disk is full: RESOURCE_EXHAUSTED, with RetryInfo where waiting helps.</summary>
/// <param name="reason">ErrorInfo.reason: "BYTE_BUDGET_EXCEEDED".</param>
/// <param name="message">What is full, and its limit.</param>
/// <param name="retryAfter">After what time to try again; null where that does not help.</param>
public sealed class ResourceExhaustedException(string reason, string message, TimeSpan? retryAfter = null)
    : StatusException(Code.ResourceExhausted, reason, message)
{
    /// <summary>After what time to try again; null where that does not help.</summary>
    public TimeSpan? RetryAfter { get; } = retryAfter;

    internal override IEnumerable<IMessage> Details =>
        RetryAfter is { } delay ? [new RetryInfo { RetryDelay = Duration.FromTimeSpan(delay) }] : [];
}
