using Google.Protobuf;
using Grpc.Core;
using Lab.Protos.SparseTraining.V1;

namespace Lab.ServiceDefaults.Tests.Errors;

/// <summary>A service with a method of each of the four shapes, which the lab's own services do not have all.</summary>
internal static class EchoMethods
{
    public static readonly Method<CorpusRun, CorpusRun> Unary = Create(MethodType.Unary);
    public static readonly Method<CorpusRun, CorpusRun> ClientStreaming = Create(MethodType.ClientStreaming);
    public static readonly Method<CorpusRun, CorpusRun> ServerStreaming = Create(MethodType.ServerStreaming);
    public static readonly Method<CorpusRun, CorpusRun> DuplexStreaming = Create(MethodType.DuplexStreaming);

    private static Method<CorpusRun, CorpusRun> Create(MethodType type)
    {
        Marshaller<CorpusRun> marshaller = Marshallers.Create(r => r.ToByteArray(), CorpusRun.Parser.ParseFrom);
        return new Method<CorpusRun, CorpusRun>(type, "lab.test.EchoService", type.ToString(), marshaller, marshaller);
    }
}

/// <summary>What the service does: told by each test.</summary>
public sealed class EchoBehaviour
{
    /// <summary>Called by every method.</summary>
    public Func<CancellationToken, Task> Act { get; set; } = _ => Task.CompletedTask;
}

/// <summary>What protoc would generate.</summary>
[BindServiceMethod(typeof(EchoServiceBase), nameof(BindService))]
public abstract class EchoServiceBase
{
    /// <summary>Called by Grpc.AspNetCore.</summary>
    public static void BindService(ServiceBinderBase binder, EchoServiceBase? service)
    {
        binder.AddMethod(EchoMethods.Unary, (UnaryServerMethod<CorpusRun, CorpusRun>?)null);
        binder.AddMethod(EchoMethods.ClientStreaming, (ClientStreamingServerMethod<CorpusRun, CorpusRun>?)null);
        binder.AddMethod(EchoMethods.ServerStreaming, (ServerStreamingServerMethod<CorpusRun, CorpusRun>?)null);
        binder.AddMethod(EchoMethods.DuplexStreaming, (DuplexStreamingServerMethod<CorpusRun, CorpusRun>?)null);
    }

    public abstract Task<CorpusRun> Unary(CorpusRun request, ServerCallContext context);

    public abstract Task<CorpusRun> ClientStreaming(IAsyncStreamReader<CorpusRun> requests, ServerCallContext context);

    public abstract Task ServerStreaming(CorpusRun request, IServerStreamWriter<CorpusRun> responses, ServerCallContext context);

    public abstract Task DuplexStreaming(IAsyncStreamReader<CorpusRun> requests, IServerStreamWriter<CorpusRun> responses, ServerCallContext context);
}

/// <summary>The service.</summary>
public sealed class EchoService(EchoBehaviour behaviour) : EchoServiceBase
{
    public override async Task<CorpusRun> Unary(CorpusRun request, ServerCallContext context)
    {
        await behaviour.Act(context.CancellationToken);
        return request;
    }

    public override async Task<CorpusRun> ClientStreaming(IAsyncStreamReader<CorpusRun> requests, ServerCallContext context)
    {
        await requests.MoveNext(context.CancellationToken);
        await behaviour.Act(context.CancellationToken);
        return requests.Current;
    }

    public override async Task ServerStreaming(CorpusRun request, IServerStreamWriter<CorpusRun> responses, ServerCallContext context)
    {
        await responses.WriteAsync(request, context.CancellationToken);
        await behaviour.Act(context.CancellationToken);
    }

    public override async Task DuplexStreaming(IAsyncStreamReader<CorpusRun> requests, IServerStreamWriter<CorpusRun> responses, ServerCallContext context)
    {
        await foreach (CorpusRun request in requests.ReadAllAsync(context.CancellationToken)) await responses.WriteAsync(request, context.CancellationToken);
        await behaviour.Act(context.CancellationToken);
    }
}
