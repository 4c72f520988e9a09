using Google.Protobuf;
using Google.Rpc;

namespace Lab.ServiceDefaults.Errors;

/// <summary>An exception that an endpoint throws for its caller to read: it becomes a google.rpc.Status of its own code.</summary>
/// <param name="code">The status code.</param>
/// <param name="reason">What ErrorInfo.reason says: UPPER_SNAKE_CASE, at most 63 characters.</param>
/// <param name="message">What happened, for the developer who called.</param>
public abstract class StatusException(Code code, string reason, string message) : Exception(message)
{
    /// <summary>The status code.</summary>
    public Code Code { get; } = code;

    /// <summary>Why, for programs: ErrorInfo.reason.</summary>
    public string Reason { get; } = reason;

    /// <summary>The values in the message, for programs: ErrorInfo.metadata.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; init; } = new Dictionary<string, string>();

    /// <summary>The details besides ErrorInfo, each type at most once.</summary>
    internal virtual IEnumerable<IMessage> Details => [];
}
