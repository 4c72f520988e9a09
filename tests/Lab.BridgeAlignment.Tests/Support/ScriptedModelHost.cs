using Grpc.Core;
using Lab.Protos.ModelHost.V1;
using Lab.ServiceDefaults;
using Lab.ServiceDefaults.Errors;
using Lab.Tensors;
using Lab.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;

namespace Lab.BridgeAlignment.Tests.Support;

/// <summary>A ModelHost that answers each run with given tensors, and breaks off as it is told.</summary>
internal sealed class ScriptedModelHost : ModelHostService.ModelHostServiceBase, IAsyncDisposable
{
    private PartHost? _host;

    /// <summary>What a run sends.</summary>
    public List<HostTensor> Tensors { get; } = [];

    /// <summary>What the next runs throw after half of their messages, null for an end without an error; those beyond the list are whole.</summary>
    public Queue<Exception?> Failures { get; } = [];

    public List<string> Calls { get; } = [];

    public List<RunRequest> Requests { get; } = [];

    public async Task<ModelHostService.ModelHostServiceClient> StartAsync()
    {
        _host = await PartHost.StartAsync(
            "unused", builder => builder.AddLabDefaults("ModelHost").Services.AddSingleton(this), app => app.MapGrpcService<ScriptedModelHost>());
        return new ModelHostService.ModelHostServiceClient(_host.Channel);
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
            new RunResponse { Started = new RunStarted() },
            .. Tensors.SelectMany(tensor => TensorFrames.Encode(tensor)).Select(frame => new RunResponse { Frame = frame }),
            new RunResponse { Summary = new RunSummary() },
        ];
        bool fails = Failures.TryDequeue(out Exception? failure);
        foreach (RunResponse message in fails ? messages[..(messages.Length / 2)] : messages) await responseStream.WriteAsync(message, context.CancellationToken);
        if (failure is RpcException) throw failure;
        if (failure is not null) throw ErrorMapping.ToStatus(failure).ToRpcException();
    }

    public ValueTask DisposeAsync() => _host?.DisposeAsync() ?? ValueTask.CompletedTask;
}
