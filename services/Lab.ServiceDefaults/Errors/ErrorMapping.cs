using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Google.Rpc;
using Grpc.Core;
using Polly.CircuitBreaker;
using Polly.Timeout;
using Status = Google.Rpc.Status;

namespace Lab.ServiceDefaults.Errors;

/// <summary>What exceptions look like to those who call: one google.rpc.Status each, always with an ErrorInfo of the domain "lab".</summary>
public static class ErrorMapping
{
    /// <summary>The domain of every ErrorInfo.</summary>
    public const string Domain = "lab";

    private const string InternalReason = "INTERNAL_ERROR";
    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Maps an exception. What is not known to be meant for callers becomes INTERNAL with a text that gives nothing away; log it.
    /// </summary>
    /// <remarks>
    /// <see cref="StatusException"/>: its own. <see cref="ArgumentException"/>: INVALID_ARGUMENT of the field ParamName.
    /// <see cref="KeyNotFoundException"/>: NOT_FOUND. <see cref="InvalidDataException"/>: DATA_LOSS. <see cref="IOException"/> of a full
    /// disk: RESOURCE_EXHAUSTED, "DISK_FULL". A full tensor worker: RESOURCE_EXHAUSTED with RetryInfo. An open circuit: UNAVAILABLE.
    /// A timeout: DEADLINE_EXCEEDED. <see cref="OperationCanceledException"/>: CANCELLED. <see cref="RpcException"/>: its own status.
    /// </remarks>
    public static Status ToStatus(Exception e) => e switch
    {
        StatusException s => Create(s.Code, s.Reason, s.Message, s.Metadata, [.. s.Details]),
        RpcException rpc => FromRpc(rpc),
        ArgumentException a => ToStatus(new InvalidRequestException(a.ParamName ?? "", MessageOf(a))),
        KeyNotFoundException k => Create(Code.NotFound, "NOT_FOUND", k.Message),
        InvalidDataException d => Create(Code.DataLoss, "DATA_CORRUPT", d.Message),
        IOException io when IsDiskFull(io) => Create(Code.ResourceExhausted, "DISK_FULL", "The disk that holds the lab's data is full."),
        BrokenCircuitException => ToStatus(new UnavailableException("CIRCUIT_OPEN", "A service that is needed does not answer.", RetryDelay)),
        TimeoutRejectedException or TimeoutException => Create(Code.DeadlineExceeded, "TIMEOUT", "The work took longer than it may."),
        OperationCanceledException => Create(Code.Cancelled, "CANCELLED", "The call was cancelled."),
        AggregateException { InnerExceptions: [Exception only] } => ToStatus(only),
        // Lab.Tensors is not referenced here: it knows nothing of services, and services without tensors know nothing of it.
        _ when e.GetType().FullName == "Lab.Tensors.TensorWorkerBusyException" =>
            ToStatus(new ResourceExhaustedException("WORKER_BUSY", e.Message, RetryDelay)),
        _ => Create(Code.Internal, InternalReason, "An internal error occurred. The service's log has the details."),
    };

    /// <summary>Whether the status is one that says nothing, so that only a log can.</summary>
    internal static bool IsInternal(Status status) => status.Code == (int)Code.Internal;

    internal static bool IsDiskFull(IOException e)
    {
        // Unix: the bare errno in HResult. Windows: ERROR_DISK_FULL and ERROR_HANDLE_DISK_FULL.
        const int NoSpace = 28, QuotaExceeded = 122;
        return e.HResult is NoSpace or QuotaExceeded or unchecked((int)0x80070070) or unchecked((int)0x80070027);
    }

    private static Status FromRpc(RpcException e) =>
        e.GetRpcStatus() ?? new Status { Code = (int)e.StatusCode, Message = e.Status.Detail };

    private static Status Create(
        Code code, string reason, string message, IReadOnlyDictionary<string, string>? metadata = null, params IMessage[] details)
    {
        var info = new ErrorInfo { Reason = reason, Domain = Domain };
        foreach ((string key, string value) in metadata ?? new Dictionary<string, string>()) info.Metadata.Add(key, value);
        return new Status { Code = (int)code, Message = message, Details = { details.Prepend(info).Select(d => Any.Pack(d)) } };
    }

    private static string MessageOf(ArgumentException e)
    {
        // ArgumentException appends the parameter to its message, which the field says already.
        string suffix = $" (Parameter '{e.ParamName}')";
        return e.Message.EndsWith(suffix, StringComparison.Ordinal) ? e.Message[..^suffix.Length] : e.Message;
    }
}
