using System.Collections.Concurrent;
using System.Threading.Channels;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Lab.Protos.Run.V1;
using Lab.Protos.SparseTraining.V1;
using Lab.ServiceDefaults;
using Lab.ServiceDefaults.Errors;
using Lab.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;

namespace Lab.Gateway.Tests;

/// <summary>A training service whose runs go as a test says.</summary>
internal sealed class FakeTraining : SparseTrainingService.SparseTrainingServiceBase, IAsyncDisposable
{
    private PartHost _host = null!;

    private FakeTraining()
    {
    }

    public string Url => _host.Url;

    public ConcurrentDictionary<string, TrainingRun> Runs { get; } = [];

    /// <summary>What Watch sends, one call after the other: a run, or an exception.</summary>
    public Channel<object> Watches { get; } = Channel.CreateUnbounded<object>();

    /// <summary>The methods that were called.</summary>
    public ConcurrentQueue<string> Calls { get; } = [];

    /// <summary>The configs that runs were asked for with.</summary>
    public ConcurrentQueue<TrainingConfig> Configs { get; } = [];

    /// <summary>Set when a Watch call was ended by its caller.</summary>
    public TaskCompletionSource WatchCancelled { get; } = new();

    public static async Task<FakeTraining> StartAsync()
    {
        FakeTraining service = new();
        service._host = await PartHost.StartAsync(
            "unused", builder => builder.AddLabDefaults("SparseTraining").Services.AddSingleton(service), app => app.MapGrpcService<FakeTraining>());
        return service;
    }

    public static TrainingRun Snapshot(string name, RunState state, long step = 0) => new()
    {
        Name = name,
        Model = state == RunState.Succeeded ? "trained" : "",
        Config = new TrainingConfig { Corpus = "sha256:x" },
        Status = new RunStatus
        {
            State = state,
            Progress = new Progress { Completed = step, Total = 100 },
            Metrics = { ["held_out_loss"] = 2.5, ["circuit.nodes"] = 7 },
            StartTime = Timestamp.FromDateTime(DateTime.UnixEpoch),
            EndTime = state.IsFinal() ? Timestamp.FromDateTime(DateTime.UnixEpoch.AddSeconds(90)) : null,
            Error = state == RunState.Failed ? new Google.Rpc.Status { Code = (int)Google.Rpc.Code.DataLoss, Message = "corrupt" } : null,
        },
        Curve = { new TrainingPoint { Step = 100, Loss = 2.25 } },
    };

    public override Task<TrainingRun> CreateTrainingRun(CreateTrainingRunRequest request, ServerCallContext context)
    {
        Calls.Enqueue($"create {request.RunId} {request.Config.Recipe?.Steps}");
        Configs.Enqueue(request.Config);
        return Task.FromResult(Runs.GetOrAdd($"trainingRuns/{request.RunId}", name => Snapshot(name, RunState.Queued)));
    }

    public override Task<TrainingRun> ResumeTrainingRun(ResumeTrainingRunRequest request, ServerCallContext context)
    {
        Calls.Enqueue("resume");
        return Task.FromResult(Runs[request.Name] = Snapshot(request.Name, RunState.Queued));
    }

    public override Task<TrainingRun> CancelTrainingRun(CancelTrainingRunRequest request, ServerCallContext context)
    {
        Calls.Enqueue($"cancel {request.Name}");
        return Task.FromResult(Runs[request.Name] = Snapshot(request.Name, RunState.Cancelled));
    }

    public override Task<TrainingRun> GetTrainingRun(GetTrainingRunRequest request, ServerCallContext context) =>
        Runs.TryGetValue(request.Name, out TrainingRun? run) ? Task.FromResult(run) : throw new NotFoundException("TrainingRun", request.Name);

    public override async Task WatchTrainingRun(WatchTrainingRunRequest request, IServerStreamWriter<TrainingRun> responseStream, ServerCallContext context)
    {
        Calls.Enqueue("watch");
        try
        {
            await foreach (object next in Watches.Reader.ReadAllAsync(context.CancellationToken))
            {
                if (next is Exception fault) throw fault;
                await responseStream.WriteAsync((TrainingRun)next, context.CancellationToken);
                if (((TrainingRun)next).Status.State.IsFinal()) return;
            }
        }
        catch (OperationCanceledException)
        {
            WatchCancelled.TrySetResult();
            throw;
        }
    }

    public ValueTask DisposeAsync() => _host.DisposeAsync();
}
