using Google.Rpc;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Status = Google.Rpc.Status;

namespace Lab.ServiceDefaults.Errors;

/// <summary>Turns the exceptions of endpoints into statuses, for all four shapes of call. The only place that catches all.</summary>
internal sealed partial class ErrorInterceptor(IHostApplicationLifetime lifetime, TimeProvider time, ILogger<ErrorInterceptor> logger) : Interceptor
{
    public override async Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
        TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            return await continuation(request, context);
        }
        catch (Exception e) when (e is not RpcException)
        {
            throw ToRpcException(e, context);
        }
    }

    public override async Task<TResponse> ClientStreamingServerHandler<TRequest, TResponse>(
        IAsyncStreamReader<TRequest> requestStream, ServerCallContext context, ClientStreamingServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            return await continuation(requestStream, context);
        }
        catch (Exception e) when (e is not RpcException)
        {
            throw ToRpcException(e, context);
        }
    }

    public override async Task ServerStreamingServerHandler<TRequest, TResponse>(
        TRequest request, IServerStreamWriter<TResponse> responseStream, ServerCallContext context, ServerStreamingServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            await continuation(request, responseStream, context);
        }
        catch (Exception e) when (e is not RpcException)
        {
            throw ToRpcException(e, context);
        }
    }

    public override async Task DuplexStreamingServerHandler<TRequest, TResponse>(
        IAsyncStreamReader<TRequest> requestStream, IServerStreamWriter<TResponse> responseStream, ServerCallContext context,
        DuplexStreamingServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            await continuation(requestStream, responseStream, context);
        }
        catch (Exception e) when (e is not RpcException)
        {
            throw ToRpcException(e, context);
        }
    }

    private RpcException ToRpcException(Exception e, ServerCallContext context)
    {
        Status status = IsCallEnd(e, context) ? ToEndStatus(context) : ErrorMapping.ToStatus(OfService(e));
        if (ErrorMapping.IsInternal(status) || status.Code == (int)Code.DataLoss)
            LogFailure(e, context.Method);
        else
            LogRefusal(e, context.Method, (Code)status.Code, status.Message);
        return status.ToRpcException();
    }

    private bool IsDeadlineOver(ServerCallContext context) => context.Deadline <= time.GetUtcNow().UtcDateTime;

    // Once the call is over, whatever comes of that (a write that fails, a reader that breaks off) is no failure of the service.
    private bool IsCallEnd(Exception e, ServerCallContext context) =>
        (context.CancellationToken.IsCancellationRequested && e is OperationCanceledException or InvalidOperationException or IOException)
        || (e is OperationCanceledException && IsDeadlineOver(context));

    private Status ToEndStatus(ServerCallContext context) => IsDeadlineOver(context)
        ? new Status { Code = (int)Code.DeadlineExceeded, Message = "The deadline of the call is over." }
        : new Status { Code = (int)Code.Cancelled, Message = "The call was cancelled." };

    // A cancellation that the caller did not ask for: the host stops, or a fault.
    private Exception OfService(Exception e) => e switch
    {
        OperationCanceledException when lifetime.ApplicationStopping.IsCancellationRequested =>
            new UnavailableException("SERVICE_STOPPING", "The service is stopping.", TimeSpan.FromSeconds(1)),
        OperationCanceledException => new InvalidOperationException("Work was cancelled that the caller did not cancel.", e),
        _ => e,
    };

    [LoggerMessage(Level = LogLevel.Error, Message = "{Method} failed")]
    private partial void LogFailure(Exception e, string method);

    [LoggerMessage(Level = LogLevel.Debug, Message = "{Method} ended with {Code}: {Detail}")]
    private partial void LogRefusal(Exception e, string method, Code code, string detail);
}
