using Google.Protobuf;
using Google.Rpc;
using Lab.Protos.ModelHost.V1;

namespace Lab.ModelHost.Mapping;

/// <summary>Failures of single requests in a stream.</summary>
internal static class RequestErrorMapping
{
    public static RequestError ToRequestError(this Status status)
    {
        RequestError error = new()
        {
            Code = status.Code,
            Message = status.Message,
            Reason = status.GetDetail<ErrorInfo>()?.Reason ?? "",
            Field = status.GetDetail<BadRequest>()?.FieldViolations.FirstOrDefault()?.Field ?? "",
            Status = status.ToByteString(),
        };
        if (status.GetDetail<RetryInfo>() is { } retry) error.RetryMs = retry.RetryDelay.ToTimeSpan().TotalMilliseconds;
        return error;
    }
}
