using Grpc.Core;
using Grpc.Net.Client;
using Lab.Protos.ModelHost.V1;
using Lab.ServiceDefaults.Errors;
using Lab.Tensors;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Lab.BridgeAlignment.Tests.Support;

/// <summary>A ModelHost that answers each run with given tensors, and breaks off as it is told.</summary>
internal sealed class ScriptedModelHost : ModelHostService.ModelHostServiceBase, IAsyncDisposable
{
    private WebApplication? _app;
    private GrpcChannel? _channel;

    /// <summary>What a run sends.</summary>
    public List<HostTensor> Tensors { get; } = [];

    /// <summary>What the next runs throw after half of their messages, null for an end without an error; those beyond the list are whole.</summary>
    public Queue<Exception?> Failures { get; } = [];

    public List<string> Calls { get; } = [];

    public List<RunRequest> Requests { get; } = [];

    public async Task<ModelHostService.ModelHostServiceClient> StartAsync()
    {
        WebApplicationBuilder builder = WebApplication.CreateBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseTestServer();
        builder.Services.AddGrpc();
        builder.Services.AddSingleton(this);
        _app = builder.Build();
        _app.MapGrpcService<ScriptedModelHost>();
        await _app.StartAsync();
        _channel = GrpcChannel.ForAddress("http://localhost", new GrpcChannelOptions { HttpHandler = _app.GetTestServer().CreateHandler() });
        return new ModelHostService.ModelHostServiceClient(_channel);
    }

    public override Task<Model> LoadModel(LoadModelRequest request, ServerCallContext context)
    {
        Calls.Add($"load {request.Name}");
        return Task.FromResult(new Model { Name = request.Name });
    }

    public override async Task Run(RunRequest request, IServerStreamWriter<RunResponse> responseStream, ServerCallContext context)
    {
        Calls.Add("run");
        Requests.Add(request);
        RunResponse[] messages =
        [
            new RunResponse { Summary = new RunSummary() },
            .. Tensors.SelectMany(tensor => TensorFrames.Encode(tensor)).Select(frame => new RunResponse { Frame = frame }),
        ];
        bool fails = Failures.TryDequeue(out Exception? failure);
        foreach (RunResponse message in fails ? messages[..(messages.Length / 2)] : messages) await responseStream.WriteAsync(message, context.CancellationToken);
        if (failure is RpcException) throw failure;
        if (failure is not null) throw ErrorMapping.ToStatus(failure).ToRpcException();
    }

    public async ValueTask DisposeAsync()
    {
        _channel?.Dispose();
        if (_app is not null) await _app.DisposeAsync();
    }
}
