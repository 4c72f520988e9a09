using Google.Protobuf.WellKnownTypes;
using Google.Rpc;
using Grpc.Core;
using Lab.Protos.Experiment.V1;
using Lab.Protos.Run.V1;
using Lab.Testing;

namespace Lab.Gateway.Tests.Experiments;

public sealed class ExperimentEndpointTests
{
    private const string Yaml = "name: e\nparameters: { seed: { type: int, default: 1 } }\nsteps: [{ id: a, operation: do.it, with: { value: \"${parameters.seed}\" } }]";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task CreateExperimentRun_SameIdAndInputs_GivesTheRunThatExists()
    {
        FakeOperation operation = new("do.it");
        await using GatewayApp app = await GatewayApp.StartAsync(operations: [operation]);
        ExperimentRun first = await app.RunAsync(Yaml, "same");

        ExperimentRun again = await app.CreateRunAsync(new CreateExperimentRunRequest { Yaml = Yaml, RunId = "same", Parameters = Struct.Parser.ParseJson("""{"seed": 1}""") });

        again.ShouldBe(first);
        operation.Calls.Count.ShouldBe(1);
    }

    [Fact]
    public async Task CreateExperimentRun_SameIdOtherParameters_IsAborted()
    {
        await using GatewayApp app = await GatewayApp.StartAsync(operations: [new FakeOperation("do.it")]);
        await app.RunAsync(Yaml, "same");

        RpcException fault = await Should.ThrowAsync<RpcException>(() =>
            app.CreateRunAsync(new CreateExperimentRunRequest { Yaml = Yaml, RunId = "same", Parameters = Struct.Parser.ParseJson("""{"seed": 2}""") }));
        fault.StatusCode.ShouldBe(StatusCode.Aborted);
    }

    [Fact]
    public async Task CreateExperimentRun_MalformedYaml_SaysLineOfFieldYaml() =>
        (await FaultAsync(new CreateExperimentRunRequest { Yaml = "name: e\nsteps: [}" })).ShouldBe(["yaml: line 2, column 9"]);

    [Fact]
    public async Task CreateExperimentRun_WrongParameters_NamesAll() =>
        (await FaultAsync(new CreateExperimentRunRequest { Yaml = Yaml, Parameters = Struct.Parser.ParseJson("""{"seed": "x", "speed": 1}""") }))
            .ShouldBe(["parameters.seed: must be a whole number", "parameters.speed: is no parameter of e"]);

    [Fact]
    public async Task CreateExperimentRun_WrongInputOfAStep_NamesIt() =>
        (await FaultAsync(new CreateExperimentRunRequest { Yaml = "name: e\nsteps:\n- id: a\n  operation: do.it\n  with: { wrong: 1 }" }))
            .ShouldBe(["steps[0].with.wrong: is wrong (line 5)"]);

    [Fact]
    public async Task CreateExperimentRun_WrongId_NamesIt() =>
        (await FaultAsync(new CreateExperimentRunRequest { Yaml = Yaml, RunId = "Not-So" })).ShouldBe(["run_id: must be 1 to 63"]);

    [Fact]
    public async Task CreateExperimentRun_NoDefinition_NamesIt() =>
        (await FaultAsync(new CreateExperimentRunRequest())).ShouldBe(["definition: one of"]);

    [Fact]
    public async Task ExperimentRuns_Unknown_AreNotFound()
    {
        await using GatewayApp app = await GatewayApp.StartAsync(operations: []);

        (await CodeAsync(() => app.GetRunAsync("experimentRuns/none"))).ShouldBe(StatusCode.NotFound);
        (await CodeAsync(() => app.CancelRunAsync("experimentRuns/none"))).ShouldBe(StatusCode.NotFound);
        (await CodeAsync(() => app.ResumeRunAsync("experimentRuns/none"))).ShouldBe(StatusCode.NotFound);
        (await CodeAsync(() => app.EndAsync("experimentRuns/none"))).ShouldBe(StatusCode.NotFound);
        (await CodeAsync(() => app.GetRunAsync("runs/none"))).ShouldBe(StatusCode.InvalidArgument);
        (await CodeAsync(() => app.CreateRunAsync(new CreateExperimentRunRequest { Experiment = "none" }))).ShouldBe(StatusCode.NotFound);
        (await CodeAsync(() => app.Client.GetExperimentAsync(new GetExperimentRequest { Name = "none" }, cancellationToken: Ct).ResponseAsync)).ShouldBe(StatusCode.NotFound);
    }

    [Fact]
    public async Task ListExperimentRuns_Pages_AreNewestFirstAndComplete()
    {
        await using GatewayApp app = await GatewayApp.StartAsync(operations: [new FakeOperation("do.it")]);
        foreach (string id in (string[])["r1", "r2", "r3"]) await app.RunAsync(Yaml, id);

        ListExperimentRunsResponse first = await app.Client.ListExperimentRunsAsync(new ListExperimentRunsRequest { PageSize = 2 }, cancellationToken: Ct);
        ListExperimentRunsResponse second = await app.Client.ListExperimentRunsAsync(
            new ListExperimentRunsRequest { PageSize = 2, PageToken = first.NextPageToken }, cancellationToken: Ct);

        first.ExperimentRuns.Concat(second.ExperimentRuns).Select(r => r.Name).ShouldBe(["experimentRuns/r3", "experimentRuns/r2", "experimentRuns/r1"]);
        second.NextPageToken.ShouldBeEmpty();
        (await CodeAsync(() => app.Client.ListExperimentRunsAsync(new ListExperimentRunsRequest { PageSize = -1 }, cancellationToken: Ct).ResponseAsync))
            .ShouldBe(StatusCode.InvalidArgument);
        (await CodeAsync(() => app.Client.ListExperimentRunsAsync(new ListExperimentRunsRequest { PageToken = "?" }, cancellationToken: Ct).ResponseAsync))
            .ShouldBe(StatusCode.InvalidArgument);
    }

    [Fact]
    public async Task ListExperiments_Shipped_HaveParametersWithDefaults()
    {
        await using GatewayApp app = await GatewayApp.StartAsync();

        ListExperimentsResponse list = await app.Client.ListExperimentsAsync(new ListExperimentsRequest(), cancellationToken: Ct);

        Experiment experiment = list.Experiments.Single(e => e.Name == "sparse-circuit");
        Parameter seed = experiment.Parameters.Single(p => p.Name == "seed");
        seed.Type.ShouldBe("int");
        seed.DefaultValue.NumberValue.ShouldBe(0);
        (await app.Client.GetExperimentAsync(new GetExperimentRequest { Name = "sparse-circuit" }, cancellationToken: Ct)).ShouldBe(experiment);
    }

    [Fact]
    public async Task WatchExperimentRun_GatewayStops_IsUnavailable()
    {
        using TemporaryFolder data = new();
        FakeOperation operation = new("do.it")
        {
            Work = async (_, ct) =>
            {
                await Task.Delay(Timeout.Infinite, ct);
                return [];
            },
        };
        GatewayApp app = await GatewayApp.StartAsync(data.Path, [operation]);
        ExperimentRun run = await app.CreateRunAsync(new CreateExperimentRunRequest { Yaml = Yaml });
        using AsyncServerStreamingCall<ExperimentRun> watch = app.Client.WatchExperimentRun(new WatchExperimentRunRequest { Name = run.Name }, cancellationToken: Ct);
        (await watch.ResponseStream.MoveNext(Ct)).ShouldBeTrue();

        Task stop = app.StopAsync();
        RpcException fault = await Should.ThrowAsync<RpcException>(async () =>
        {
            while (await watch.ResponseStream.MoveNext(Ct)) watch.ResponseStream.Current.Status.State.IsFinal().ShouldBeFalse();
        });
        await stop;
        await app.DisposeAsync();

        fault.StatusCode.ShouldBe(StatusCode.Unavailable);
    }

    private static async Task<StatusCode> CodeAsync(Func<Task> call) => (await Should.ThrowAsync<RpcException>(call)).StatusCode;

    private static async Task<Violations> FaultAsync(CreateExperimentRunRequest request)
    {
        await using GatewayApp app = await GatewayApp.StartAsync(operations: [new FakeOperation("do.it")]);
        RpcException fault = await Should.ThrowAsync<RpcException>(() => app.CreateRunAsync(request));
        fault.StatusCode.ShouldBe(StatusCode.InvalidArgument);
        return new Violations([.. fault.GetRpcStatus()!.GetDetail<BadRequest>()!.FieldViolations.Select(v => $"{v.Field}: {v.Description}")]);
    }

    private sealed record Violations(string[] All)
    {
        public void ShouldBe(string[] starts)
        {
            All.Length.ShouldBe(starts.Length, string.Join('\n', All));
            foreach ((string actual, string start) in All.Zip(starts)) actual.ShouldStartWith(start);
        }
    }
}
