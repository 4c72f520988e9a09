using Google.Rpc;

namespace Lab.ServiceDefaults.Errors;

/// <summary>The service's settings do not allow it, whoever asks: PERMISSION_DENIED.</summary>
/// <param name="reason">ErrorInfo.reason: "FOLDER_NOT_ALLOWED".</param>
/// <param name="message">What is not allowed, and by which setting.</param>
public sealed class PermissionDeniedException(string reason, string message) : StatusException(Code.PermissionDenied, reason, message);
