using Google.Protobuf;
using Grpc.Core;
using Grpc.Core.Interceptors;

namespace Lab.ModelHost.Sources;

/// <summary>Brings the stored tensors of every request of ModelHost inline, before its call begins.</summary>
internal sealed class TensorSourceInterceptor(TensorSources sources) : Interceptor
{
    public override async Task<TResponse> UnaryServerHandler<TRequest, TResponse>(TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
    {
        using IDisposable memory = await sources.InlineAsync((IMessage)request, context.CancellationToken);
        return await continuation(request, context);
    }

    public override async Task ServerStreamingServerHandler<TRequest, TResponse>(
        TRequest request, IServerStreamWriter<TResponse> responseStream, ServerCallContext context, ServerStreamingServerMethod<TRequest, TResponse> continuation)
    {
        using IDisposable memory = await sources.InlineAsync((IMessage)request, context.CancellationToken);
        await continuation(request, responseStream, context);
    }
}
