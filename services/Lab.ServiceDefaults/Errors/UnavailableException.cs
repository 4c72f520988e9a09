using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Google.Rpc;

namespace Lab.ServiceDefaults.Errors;

/// <summary>The service, or one that it needs, is away for a while: UNAVAILABLE with RetryInfo. Callers try again.</summary>
/// <param name="reason">ErrorInfo.reason: "SERVICE_STOPPING".</param>
/// <param name="message">What is away.</param>
/// <param name="retryAfter">After what time to try again.</param>
public sealed class UnavailableException(string reason, string message, TimeSpan retryAfter) : StatusException(Code.Unavailable, reason, message)
{
    /// <summary>After what time to try again.</summary>
    public TimeSpan RetryAfter { get; } = retryAfter;

    internal override IEnumerable<IMessage> Details => [new RetryInfo { RetryDelay = Duration.FromTimeSpan(RetryAfter) }];
}
