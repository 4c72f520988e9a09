using Grpc.Core;
using Grpc.Core.Interceptors;

namespace Lab.ServiceDefaults.Clients;

/// <summary>Gives every call a deadline, and unary calls the <see cref="CallPipeline"/> of their part.</summary>
internal sealed class ResilienceInterceptor(CallPipeline pipeline, TimeProvider time) : Interceptor
{
    /// <summary>For a unary call that brings no deadline of its own, retries included.</summary>
    public static readonly TimeSpan UnaryDeadline = TimeSpan.FromMinutes(5);

    /// <summary>For a streaming call that brings no deadline of its own. A dead connection is found by pings long before.</summary>
    public static readonly TimeSpan StreamDeadline = TimeSpan.FromHours(24);

    public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(
        TRequest request, ClientInterceptorContext<TRequest, TResponse> context, AsyncUnaryCallContinuation<TRequest, TResponse> continuation)
    {
        context = WithDeadline(context, UnaryDeadline);
        return new RetriedCall<TResponse>(pipeline, ct => continuation(request, WithToken(context, ct)), context.Options).ToCall();
    }

    public override AsyncServerStreamingCall<TResponse> AsyncServerStreamingCall<TRequest, TResponse>(
        TRequest request, ClientInterceptorContext<TRequest, TResponse> context, AsyncServerStreamingCallContinuation<TRequest, TResponse> continuation) =>
        continuation(request, WithDeadline(context, StreamDeadline));

    public override AsyncClientStreamingCall<TRequest, TResponse> AsyncClientStreamingCall<TRequest, TResponse>(
        ClientInterceptorContext<TRequest, TResponse> context, AsyncClientStreamingCallContinuation<TRequest, TResponse> continuation) =>
        continuation(WithDeadline(context, StreamDeadline));

    public override AsyncDuplexStreamingCall<TRequest, TResponse> AsyncDuplexStreamingCall<TRequest, TResponse>(
        ClientInterceptorContext<TRequest, TResponse> context, AsyncDuplexStreamingCallContinuation<TRequest, TResponse> continuation) =>
        continuation(WithDeadline(context, StreamDeadline));

    private static ClientInterceptorContext<TRequest, TResponse> WithToken<TRequest, TResponse>(
        ClientInterceptorContext<TRequest, TResponse> context, CancellationToken ct)
        where TRequest : class
        where TResponse : class => new(context.Method, context.Host, context.Options.WithCancellationToken(ct));

    private ClientInterceptorContext<TRequest, TResponse> WithDeadline<TRequest, TResponse>(
        ClientInterceptorContext<TRequest, TResponse> context, TimeSpan deadline)
        where TRequest : class
        where TResponse : class => context.Options.Deadline is not null
            ? context
            : new(context.Method, context.Host, context.Options.WithDeadline(time.GetUtcNow().UtcDateTime + deadline));
}
