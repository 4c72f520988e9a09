using Google.Rpc;
using Grpc.Core;
using Status = Google.Rpc.Status;

namespace Lab.Standalone.Rendering;

/// <summary>What went wrong in a call, for people.</summary>
internal static class RpcFaults
{
    public static string Describe(RpcException fault) => fault.GetRpcStatus() is Status status
        ? Describe(status)
        : fault.StatusCode == StatusCode.Unavailable ? $"The gateway cannot be reached: {fault.Status.Detail}" : $"{fault.StatusCode}: {fault.Status.Detail}";

    /// <summary>The message, or a line for each field that is wrong.</summary>
    public static string Describe(Status status) => status.GetDetail<BadRequest>() is { FieldViolations.Count: > 0 } request
        ? string.Join('\n', request.FieldViolations.Select(violation => violation.Field.Length > 0 ? $"{violation.Field}: {violation.Description}" : violation.Description))
        : status.Message;
}
