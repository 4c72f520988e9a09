using Google.Rpc;

namespace Lab.ServiceDefaults.Errors;

/// <summary>Another piece of work has the resource: ABORTED.</summary>
/// <param name="reason">ErrorInfo.reason: "RUN_EXISTS".</param>
/// <param name="message">What is in the way.</param>
public sealed class AbortedException(string reason, string message) : StatusException(Code.Aborted, reason, message);
