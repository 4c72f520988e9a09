using Google.Rpc;
using Grpc.Core;
using Lab.Protos.BridgeAlignment.V1;
using Lab.Protos.Run.V1;
using Lab.Protos.SparseTraining.V1;

namespace Lab.Gateway.Tests.Routing;

public sealed class ServiceRoutesTests
{
    private const string Name = "trainingRuns/a";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Unary_OfAService_IsHandedOn()
    {
        await using Fixture fixture = await Fixture.StartAsync();

        TrainingRun run = await fixture.Client.CreateTrainingRunAsync(new CreateTrainingRunRequest { RunId = "a", Config = new() { Corpus = "x" } }, cancellationToken: Ct);

        run.Name.ShouldBe(Name);
        fixture.Service.Calls.ShouldBe(["create a "]);
    }

    [Fact]
    public async Task Unary_ErrorOfAService_KeepsItsDetails()
    {
        await using Fixture fixture = await Fixture.StartAsync();

        RpcException fault = await Should.ThrowAsync<RpcException>(() => fixture.Client.GetTrainingRunAsync(new GetTrainingRunRequest { Name = "none" }, cancellationToken: Ct).ResponseAsync);

        fault.StatusCode.ShouldBe(StatusCode.NotFound);
        fault.GetRpcStatus()!.GetDetail<ResourceInfo>()!.ResourceName.ShouldBe("none");
    }

    [Fact]
    public async Task Stream_EachMessage_ArrivesBeforeTheNextIsSent()
    {
        await using Fixture fixture = await Fixture.StartAsync();
        using AsyncServerStreamingCall<TrainingRun> watch = fixture.Watch();

        for (int step = 0; step < 3; step++)
        {
            fixture.Send(FakeTraining.Snapshot(Name, RunState.Running, step));
            (await watch.ResponseStream.MoveNext(Ct)).ShouldBeTrue();
            watch.ResponseStream.Current.Status.Progress.Completed.ShouldBe(step);
        }
        fixture.Send(FakeTraining.Snapshot(Name, RunState.Succeeded));
        (await watch.ResponseStream.MoveNext(Ct)).ShouldBeTrue();
        (await watch.ResponseStream.MoveNext(Ct)).ShouldBeFalse();
        watch.GetStatus().StatusCode.ShouldBe(StatusCode.OK);
    }

    [Fact]
    public async Task Stream_OfManyMegabytes_Passes()
    {
        await using Fixture fixture = await Fixture.StartAsync();
        TrainingRun large = FakeTraining.Snapshot(Name, RunState.Running);
        large.Model = new string('x', 3 << 20);
        for (int i = 0; i < 12; i++) fixture.Send(large);
        fixture.Send(FakeTraining.Snapshot(Name, RunState.Succeeded));
        using AsyncServerStreamingCall<TrainingRun> watch = fixture.Watch();

        int count = 0;
        while (await watch.ResponseStream.MoveNext(Ct)) count += watch.ResponseStream.Current.Model.Length == 3 << 20 ? 1 : 0;

        count.ShouldBe(12);
    }

    [Fact]
    public async Task Stream_CallerLeaves_EndsTheCallOfTheService()
    {
        await using Fixture fixture = await Fixture.StartAsync();
        fixture.Send(FakeTraining.Snapshot(Name, RunState.Running));
        using (AsyncServerStreamingCall<TrainingRun> watch = fixture.Watch())
            (await watch.ResponseStream.MoveNext(Ct)).ShouldBeTrue();

        await fixture.Service.WatchCancelled.Task.WaitAsync(Ct);
    }

    [Fact]
    public async Task Stream_ServiceFailsInTheMiddle_KeepsItsStatus()
    {
        await using Fixture fixture = await Fixture.StartAsync();
        fixture.Send(FakeTraining.Snapshot(Name, RunState.Running), new RpcException(new Grpc.Core.Status(StatusCode.DataLoss, "corrupt")));
        using AsyncServerStreamingCall<TrainingRun> watch = fixture.Watch();
        (await watch.ResponseStream.MoveNext(Ct)).ShouldBeTrue();

        (await Should.ThrowAsync<RpcException>(() => watch.ResponseStream.MoveNext(Ct))).Status.Detail.ShouldBe("corrupt");
    }

    [Fact]
    public async Task Stream_GatewayStops_EndsWithoutWaitingForIt()
    {
        FakeTraining service = await FakeTraining.StartAsync();
        GatewayApp app = await GatewayApp.StartAsync(settings: [$"Lab:Services:SparseTraining={service.Url}"]);
        SparseTrainingService.SparseTrainingServiceClient client = new(app.Channel);
        using AsyncServerStreamingCall<TrainingRun> watch = client.WatchTrainingRun(new WatchTrainingRunRequest { Name = Name }, cancellationToken: Ct);
        _ = service.Watches.Writer.TryWrite(FakeTraining.Snapshot(Name, RunState.Running));
        (await watch.ResponseStream.MoveNext(Ct)).ShouldBeTrue();

        await app.StopAsync();
        await service.WatchCancelled.Task.WaitAsync(Ct);
        (await Should.ThrowAsync<RpcException>(() => watch.ResponseStream.MoveNext(Ct))).StatusCode.ShouldNotBe(StatusCode.OK);
        await app.DisposeAsync();
        await service.DisposeAsync();
    }

    [Fact]
    public async Task Call_ServiceThatIsAway_IsUnavailableNamingIt()
    {
        await using Fixture fixture = await Fixture.StartAsync();
        BridgeAlignmentService.BridgeAlignmentServiceClient bridge = new(fixture.App.Channel);

        RpcException fault = await Should.ThrowAsync<RpcException>(() => bridge.GetAlignmentRunAsync(new GetAlignmentRunRequest { Name = "x" }, cancellationToken: Ct).ResponseAsync);

        fault.StatusCode.ShouldBe(StatusCode.Unavailable);
        fault.Status.Detail.ShouldBe("BridgeAlignment cannot be reached at http://127.0.0.1:9.");
    }

    private sealed class Fixture(FakeTraining service, GatewayApp app) : IAsyncDisposable
    {
        public FakeTraining Service => service;

        public GatewayApp App => app;

        public SparseTrainingService.SparseTrainingServiceClient Client { get; } = new(app.Channel);

        public static async Task<Fixture> StartAsync()
        {
            FakeTraining service = await FakeTraining.StartAsync();
            return new Fixture(service, await GatewayApp.StartAsync(settings: [$"Lab:Services:SparseTraining={service.Url}"]));
        }

        public AsyncServerStreamingCall<TrainingRun> Watch() =>
            Client.WatchTrainingRun(new WatchTrainingRunRequest { Name = Name }, cancellationToken: Ct);

        public void Send(params object[] next)
        {
            foreach (object one in next) _ = service.Watches.Writer.TryWrite(one);
        }

        public async ValueTask DisposeAsync()
        {
            await app.DisposeAsync();
            await service.DisposeAsync();
        }
    }
}
