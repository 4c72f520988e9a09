using System.Text.Json.Nodes;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Lab.Gateway.Definitions;
using Lab.Gateway.Operations;
using Lab.Protos.Run.V1;
using Lab.Protos.SparseTraining.V1;
using Microsoft.Extensions.DependencyInjection;

namespace Lab.Gateway.Tests.Operations;

public sealed class RunOperationTests
{
    private const string Name = "trainingRuns/step-1";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Execute_Run_RelaysProgressAndGivesOutputs()
    {
        await using Fixture fixture = await Fixture.StartAsync();
        fixture.Send(FakeTraining.Snapshot(Name, RunState.Running, step: 40), FakeTraining.Snapshot(Name, RunState.Succeeded, step: 100));
        List<(string Run, long? Step)> reports = [];

        Struct outputs = await fixture.Train.ExecuteAsync(Context((run, status) => reports.Add((run, status.Progress?.Completed))), Ct);

        fixture.Service.Calls.ShouldBe(["create step-1 900", "watch"]);
        reports.ShouldBe([(Name, 0), (Name, 40), (Name, 100)]);
        CanonicalJson.Write(ProtoJson.ToJson(outputs)).ShouldBe(
            """{"curve":[{"l0_fraction":0,"loss":2.25,"step":100}],"metrics":{"circuit.nodes":7,"held_out_loss":2.5},"model":"trained","seconds":90,"task_accuracies":[]}""");
        fixture.Train.OutputNames.ShouldBe(["model", "curve", "task_accuracies", "metrics", "seconds"], ignoreOrder: true);
    }

    [Fact]
    public async Task Execute_RunThatHasSucceeded_IsNotWatched()
    {
        await using Fixture fixture = await Fixture.StartAsync();
        fixture.Service.Runs[Name] = FakeTraining.Snapshot(Name, RunState.Succeeded);

        await fixture.Train.ExecuteAsync(Context(), Ct);

        fixture.Service.Calls.ShouldBe(["create step-1 900"]);
    }

    [Theory]
    [InlineData(RunState.Failed)]
    [InlineData(RunState.Cancelled)]
    public async Task Execute_RunThatEndedOtherwise_IsResumed(RunState state)
    {
        await using Fixture fixture = await Fixture.StartAsync();
        fixture.Service.Runs[Name] = FakeTraining.Snapshot(Name, state);
        fixture.Send(FakeTraining.Snapshot(Name, RunState.Succeeded));

        await fixture.Train.ExecuteAsync(Context(), Ct);

        fixture.Service.Calls.ShouldBe(["create step-1 900", "resume", "watch"]);
    }

    [Theory]
    [InlineData(RunState.Failed, Google.Rpc.Code.DataLoss)]
    [InlineData(RunState.Cancelled, Google.Rpc.Code.Cancelled)]
    public async Task Execute_RunThatEndsOtherwise_FailsWithItsStatus(RunState state, Google.Rpc.Code code)
    {
        await using Fixture fixture = await Fixture.StartAsync();
        fixture.Send(FakeTraining.Snapshot(Name, state));

        (await Should.ThrowAsync<StepFailedException>(() => fixture.Train.ExecuteAsync(Context(), Ct))).Status.Code.ShouldBe((int)code);
    }

    [Fact]
    public async Task Execute_RunThatWasStoppedOrExtended_TellsThatItIsNotWhatWasAsked()
    {
        await using Fixture fixture = await Fixture.StartAsync();
        TrainingRun stopped = FakeTraining.Snapshot(Name, RunState.Succeeded), extended = stopped.Clone(), ended = stopped.Clone();
        stopped.End = TrainingEnd.Stopped;
        extended.Extensions.Add(new TrainingExtension { FromStep = 900, Steps = 1000 });
        ended.End = TrainingEnd.TargetReached;
        List<bool> altered = [];
        OperationContext context = Context() with { Altered = altered.Add };

        fixture.Send(stopped);
        await fixture.Train.ExecuteAsync(context, Ct);
        altered.ShouldBe([false], "it was stopped while the step waited for it");
        fixture.Service.Runs[Name] = extended;
        await fixture.Train.ExecuteAsync(context, Ct);
        altered.ShouldBe([false, true]);
        fixture.Service.Runs[Name] = ended;
        await fixture.Train.ExecuteAsync(context, Ct);
        altered.Count.ShouldBe(2);
    }

    [Theory]
    [InlineData("""{"fork": {"training_run": "trainingRuns/x"}}""", false)]
    [InlineData("""{"fork": {"training_run": "trainingRuns/x", "step": 0}}""", false)]
    [InlineData("""{"fork": {"training_run": "trainingRuns/x", "step": "40"}}""", true)]
    [InlineData("{}", true)]
    public async Task IsTimeless_ForkOfTheNewestCheckpoint_IsNot(string with, bool expected)
    {
        await using Fixture fixture = await Fixture.StartAsync();
        fixture.Train.IsTimeless(JsonNode.Parse(with)!.AsObject()).ShouldBe(expected);
    }

    [Fact]
    public async Task Execute_ServiceGoesAwayInTheMiddle_TakesTheWatchUpAgain()
    {
        await using Fixture fixture = await Fixture.StartAsync();
        fixture.Send(FakeTraining.Snapshot(Name, RunState.Running, step: 40), new RpcException(new Status(StatusCode.Unavailable, "stopping")));
        fixture.Send(FakeTraining.Snapshot(Name, RunState.Succeeded, step: 100));

        await fixture.Train.ExecuteAsync(Context(), Ct);

        fixture.Service.Calls.ShouldBe(["create step-1 900", "watch", "create step-1 900", "watch"]);
    }

    [Fact]
    public async Task Execute_ServiceRefuses_FailsWithItsStatus()
    {
        await using Fixture fixture = await Fixture.StartAsync();
        fixture.Send(new RpcException(new Status(StatusCode.NotFound, "no corpus")));

        (await Should.ThrowAsync<RpcException>(() => fixture.Train.ExecuteAsync(Context(), Ct))).StatusCode.ShouldBe(StatusCode.NotFound);
    }

    [Fact]
    public async Task Execute_Interrupted_LeavesTheRunAloneUntilCancel()
    {
        await using Fixture fixture = await Fixture.StartAsync();
        using CancellationTokenSource first = new(), second = new();
        TaskCompletionSource started = new();
        Task one = fixture.Train.ExecuteAsync(Context(), first.Token);
        Task two = fixture.Train.ExecuteAsync(Context((_, _) => started.TrySetResult()), second.Token);
        await started.Task.WaitAsync(Ct);

        await first.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(() => one);
        await fixture.Train.CancelAsync(Context(), Ct);
        fixture.Service.Calls.ShouldNotContain($"cancel {Name}", "another step waits for the same run");

        await second.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(() => two);
        await fixture.Train.CancelAsync(Context(), Ct);
        fixture.Service.Calls.ShouldContain($"cancel {Name}");
    }

    private static OperationContext Context(Action<string, RunStatus>? report = null) =>
        new(JsonNode.Parse("""{"corpus": "sha256:x", "recipe": {"steps": 900}}""")!.AsObject(), "step-1", report ?? ((_, _) => { }));

    private sealed class Fixture(FakeTraining service, GatewayApp app) : IAsyncDisposable
    {
        public FakeTraining Service => service;

        public IOperation Train { get; } = app.Services.GetRequiredService<OperationRegistry>().Get("training.train");

        public static async Task<Fixture> StartAsync()
        {
            FakeTraining service = await FakeTraining.StartAsync();
            return new Fixture(service, GatewayApp.Create(settings: [$"Lab:Services:SparseTraining={service.Url}"]));
        }

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
