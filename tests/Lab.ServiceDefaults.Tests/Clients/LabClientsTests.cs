using Grpc.Core;
using Lab.Protos.Run.V1;
using Lab.Protos.SparseTraining.V1;
using Lab.ServiceDefaults.Clients;
using Lab.ServiceDefaults.Errors;
using Lab.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Lab.ServiceDefaults.Tests.Clients;

/// <summary>Clients over real sockets to a service that goes away and comes back.</summary>
public sealed class LabClientsTests : IAsyncLifetime
{
    private readonly TrainingBehaviour _behaviour = new();
    private readonly Relay _relay = new();
    private PartHost _server = null!;
    private ServiceProvider _client = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private SparseTrainingService.SparseTrainingServiceClient Client => _client.GetRequiredService<SparseTrainingService.SparseTrainingServiceClient>();

    private Uri ServerUrl => new(_server.Url);

    public async ValueTask InitializeAsync()
    {
        _server = await PartHost.StartAsync(
            "unused", builder => builder.AddLabDefaults("SparseTraining").Services.AddSingleton(_behaviour), app => app.MapGrpcService<TrainingEndpoint>());

        var services = new ServiceCollection();
        services.AddSingleton<IConfiguration>(new ConfigurationBuilder().Build()).AddLogging().AddSingleton(TimeProvider.System);
        services.Configure<LabOptions>(o => o.Services["SparseTraining"] = _relay.Url);
        services.AddLabClient<SparseTrainingService.SparseTrainingServiceClient>("SparseTraining");
        _client = services.BuildServiceProvider();
    }

    public async ValueTask DisposeAsync()
    {
        await _client.DisposeAsync();
        await _relay.DisposeAsync();
        await _server.DisposeAsync();
    }

    [Fact]
    public async Task Unary_ServiceNotUpYet_WaitsForIt()
    {
        // Refused at first, then turned away as by a process that is just ending, then there.
        Task<CorpusRun> response = Client.GetCorpusRunAsync(new GetCorpusRunRequest { Name = "corpusRuns/a" }, cancellationToken: Ct).ResponseAsync;
        _relay.Listen();
        await _relay.TurnedAwayAsync();
        await _relay.TurnedAwayAsync();
        response.IsCompleted.ShouldBeFalse();
        _relay.Target = ServerUrl;

        (await response).Name.ShouldBe("corpusRuns/a");
        _behaviour.Calls.ShouldBe(1);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Unary_ServiceKilledDuringTheCall_IsRepeated(bool reset)
    {
        Connect();
        _behaviour.Get = (call, ct) =>
        {
            if (call > 1) return Task.CompletedTask;
            _relay.Cut(reset);
            return Task.Delay(Timeout.Infinite, ct);
        };

        using AsyncUnaryCall<CorpusRun> call = Client.GetCorpusRunAsync(new GetCorpusRunRequest { Name = "corpusRuns/a" }, cancellationToken: Ct);

        (await call).Name.ShouldBe("corpusRuns/a");
        _behaviour.Calls.ShouldBe(2);
        call.GetStatus().StatusCode.ShouldBe(StatusCode.OK);
        (await call.ResponseHeadersAsync).GetValue("call").ShouldBe("2");
    }

    [Fact]
    public async Task Unary_OtherError_IsNotRepeated()
    {
        Connect();
        _behaviour.Get = (_, _) => throw new NotFoundException("CorpusRun", "corpusRuns/a");

        RpcException thrown = await Should.ThrowAsync<RpcException>(Client.GetCorpusRunAsync(new GetCorpusRunRequest(), cancellationToken: Ct).ResponseAsync);

        thrown.StatusCode.ShouldBe(StatusCode.NotFound);
        thrown.GetRpcStatus()!.GetDetail<Google.Rpc.ResourceInfo>().ResourceName.ShouldBe("corpusRuns/a");
        _behaviour.Calls.ShouldBe(1);
    }

    [Fact]
    public async Task Unary_ServiceStaysAway_EndsWithTheCallersDeadline()
    {
        CallOptions options = new(deadline: DateTime.UtcNow.AddMilliseconds(300), cancellationToken: Ct);

        RpcException thrown = await Should.ThrowAsync<RpcException>(Client.GetCorpusRunAsync(new GetCorpusRunRequest(), options).ResponseAsync);

        thrown.StatusCode.ShouldBe(StatusCode.DeadlineExceeded);
    }

    [Fact]
    public async Task Unary_CancelledWhileTheServiceIsAway_EndsAtOnce()
    {
        _relay.Listen();
        using var source = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        Task<CorpusRun> response = Client.GetCorpusRunAsync(new GetCorpusRunRequest(), cancellationToken: source.Token).ResponseAsync;
        await _relay.TurnedAwayAsync();

        await source.CancelAsync();

        (await Should.ThrowAsync<RpcException>(response)).StatusCode.ShouldBe(StatusCode.Cancelled);
    }

    [Fact]
    public async Task Unary_NoDeadline_GetsOne()
    {
        Connect();

        _ = await Client.GetCorpusRunAsync(new GetCorpusRunRequest(), cancellationToken: Ct);

        _behaviour.Deadline.ShouldBeInRange(DateTime.UtcNow.AddMinutes(1), DateTime.UtcNow.AddMinutes(6));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task WatchAsync_ServiceKilled_GoesOnToTheEnd(bool reset)
    {
        Connect();
        _behaviour.Watch = async (call, write, ct) =>
        {
            await write(Snapshot($"{call}", RunState.Running));
            if (call == 1)
            {
                await _behaviour.Received.Task;
                _relay.Cut(reset);
                await Task.Delay(Timeout.Infinite, ct);
            }

            // A service that stops in good order ends the stream with UNAVAILABLE.
            if (call == 2) throw new UnavailableException("SERVICE_STOPPING", "stopping", TimeSpan.FromSeconds(1));
            await write(Snapshot($"{call}", RunState.Succeeded));
        };

        var seen = new List<string>();
        await foreach (CorpusRun run in LabResilience.WatchAsync(
            ct => Client.WatchCorpusRun(new WatchCorpusRunRequest { Name = "corpusRuns/a" }, cancellationToken: ct), Ct))
        {
            seen.Add($"{run.Name} {run.Status.State}");
            _behaviour.Received.TrySetResult();
        }

        seen.ShouldBe(["1 Running", "2 Running", "3 Running", "3 Succeeded"]);
    }

    [Fact]
    public async Task WatchAsync_OtherError_IsThrown()
    {
        Connect();
        _behaviour.Watch = (_, _, _) => throw new NotFoundException("CorpusRun", "corpusRuns/a");

        RpcException thrown = await Should.ThrowAsync<RpcException>(
            LabResilience.WatchAsync(ct => Client.WatchCorpusRun(new WatchCorpusRunRequest(), cancellationToken: ct), Ct).FirstAsync(Ct).AsTask());

        thrown.StatusCode.ShouldBe(StatusCode.NotFound);
    }

    [Fact]
    public async Task WatchAsync_Cancelled_Throws()
    {
        Connect();
        _behaviour.Watch = async (_, write, ct) =>
        {
            await write(Snapshot("a", RunState.Running));
            await Task.Delay(Timeout.Infinite, ct);
        };
        using var source = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        await using IAsyncEnumerator<CorpusRun> watch = LabResilience.WatchAsync(
            ct => Client.WatchCorpusRun(new WatchCorpusRunRequest(), cancellationToken: ct), source.Token).GetAsyncEnumerator(Ct);
        (await watch.MoveNextAsync()).ShouldBeTrue();
        ValueTask<bool> next = watch.MoveNextAsync();

        await source.CancelAsync();

        _ = await Should.ThrowAsync<OperationCanceledException>(next.AsTask());
    }

    [Fact]
    public void AddLabClient_NoAddress_SaysWhatToSet()
    {
        var services = new ServiceCollection();
        services.AddLabClient<SparseTrainingService.SparseTrainingServiceClient>("SparseTraining");
        using ServiceProvider provider = services.BuildServiceProvider();

        Should.Throw<OptionsValidationException>(() => provider.GetRequiredService<IOptions<LabOptions>>().Value)
            .Message.ShouldContain("Lab__Services__SparseTraining");
    }

    private static CorpusRun Snapshot(string name, RunState state) => new() { Name = name, Status = new RunStatus { State = state } };

    private void Connect()
    {
        _relay.Target = ServerUrl;
        _relay.Listen();
    }
}
