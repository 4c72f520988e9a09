using System.Text.Json.Nodes;
using Google.Rpc;
using Grpc.Core;
using Lab.Gateway.Definitions;
using Lab.Gateway.Operations;
using Lab.Protos.Experiment.V1;
using Lab.Protos.Run.V1;
using Lab.Testing;

namespace Lab.Gateway.Tests.Engine;

public sealed class ExperimentRunTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Run_Steps_RunInOrderWithResolvedInputs()
    {
        FakeOperation operation = new("do.it");
        await using GatewayApp app = await GatewayApp.StartAsync(operations: [operation]);

        ExperimentRun run = await app.RunAsync("""
            name: e
            parameters: { seed: { type: int, default: 3 } }
            steps:
              - { id: c, operation: do.it, with: { value: "${steps.a.value}", text: "n=${steps.b[y].value}" } }
              - { id: a, operation: do.it, with: { value: "${parameters.seed}" } }
              - { id: b, operation: do.it, for_each: { x: 1, y: "${steps.a.value}" }, with: { value: "${item}", metrics: { "loss.mean": 0.5 } } }
            report:
              metrics:
                twice: { ratio: ["${steps.b[y].value}", "${steps.b[x].metrics.loss.mean}"] }
                all: { mean: "${steps.b[*].value}" }
            """, "my-run");

        run.Name.ShouldBe("experimentRuns/my-run");
        run.Status.State.ShouldBe(RunState.Succeeded, run.Status.Error?.ToString());
        operation.Calls.Select(c => CanonicalJson.Write(c.With)).ShouldBe(
        [
            """{"value":3}""", """{"metrics":{"loss.mean":0.5},"value":1}""", """{"metrics":{"loss.mean":0.5},"value":3}""", """{"text":"n=3","value":3}""",
        ]);
        run.Steps.Select(s => s.Id).ShouldBe(["c", "a", "b[x]", "b[y]"]);
        run.Steps.ShouldAllBe(s => s.Status.State == RunState.Succeeded && s.Status.EndTime != null && s.InputDigest.Length == 64);
        run.Steps[0].Outputs.Fields["value"].NumberValue.ShouldBe(3);
        run.Status.Metrics["twice"].ShouldBe(6);
        run.Status.Metrics["all"].ShouldBe(2);
        run.Report.ShouldStartWith("sha256:");
        run.Status.Progress.Completed.ShouldBe(4);
    }

    [Fact]
    public async Task Run_FailingStep_EndsTheRunWithItsErrorAndResumeGoesOnThere()
    {
        bool fails = true;
        FakeOperation first = new("do.first"), second = new("do.second");
        second.Work = (context, _) => fails
            ? throw new StepFailedException(new Google.Rpc.Status { Code = (int)Code.ResourceExhausted, Message = "full" })
            : Task.FromResult(context.With.DeepClone().AsObject());
        await using GatewayApp app = await GatewayApp.StartAsync(operations: [first, second]);

        ExperimentRun failed = await app.RunAsync("""
            name: e
            steps:
              - { id: a, operation: do.first, with: { value: 1 } }
              - { id: b, operation: do.second, with: { value: "${steps.a.value}" } }
              - { id: c, operation: do.first, with: { value: "${steps.b.value}" } }
            """);
        failed.Status.State.ShouldBe(RunState.Failed);
        failed.Status.Error.Code.ShouldBe((int)Code.ResourceExhausted);
        failed.Steps.Select(s => s.Status.State).ShouldBe([RunState.Succeeded, RunState.Failed, RunState.Queued]);
        failed.Steps[1].Status.Error.Message.ShouldBe("full");

        fails = false;
        ExperimentRun resumed = await app.ResumeRunAsync(failed.Name);
        resumed.Status.State.IsFinal().ShouldBeFalse();
        ExperimentRun run = await app.EndAsync(failed.Name);

        run.Status.State.ShouldBe(RunState.Succeeded);
        run.Status.Error.ShouldBeNull();
        run.Steps[1].Status.Error.ShouldBeNull();
        first.Calls.Count.ShouldBe(1, "the first step is not run again, and the third has equal inputs");
        run.Steps[2].Cached.ShouldBeTrue();
    }

    [Fact]
    public async Task Run_ReferenceThatLeadsNowhere_FailsTheStepNamingIt()
    {
        await using GatewayApp app = await GatewayApp.StartAsync(operations: [new FakeOperation("do.it")]);

        ExperimentRun run = await app.RunAsync("""
            name: e
            steps:
              - { id: a, operation: do.it }
              - { id: b, operation: do.it, with: { value: "${steps.a.metrics.loss}" } }
            """);

        run.Status.Error.Code.ShouldBe((int)Code.InvalidArgument);
        run.Status.Error.Message.ShouldContain("steps[1].with.value: ${steps.a.metrics.loss} leads nowhere");
    }

    [Fact]
    public async Task Run_MetricThatIsNoNumber_FailsNamingIt()
    {
        await using GatewayApp app = await GatewayApp.StartAsync(operations: [new FakeOperation("do.it")]);

        ExperimentRun run = await app.RunAsync("""
            name: e
            steps: [{ id: a, operation: do.it, with: { value: text } }]
            report: { metrics: { m: "${steps.a.value}" } }
            """);

        run.Status.Error.Code.ShouldBe((int)Code.FailedPrecondition);
        run.Status.Error.Message.ShouldContain("report.metrics.m is not a number: \"text\"");
    }

    [Fact]
    public async Task Run_UnexpectedException_IsBland()
    {
        FakeOperation operation = new("do.it") { Work = (_, _) => throw new InvalidOperationException("secret") };
        await using GatewayApp app = await GatewayApp.StartAsync(operations: [operation]);

        ExperimentRun run = await app.RunAsync("name: e\nsteps: [{ id: a, operation: do.it }]");

        run.Status.Error.Code.ShouldBe((int)Code.Internal);
        run.Status.Error.Message.ShouldNotContain("secret");
    }

    [Fact]
    public async Task Watch_Progress_IsRelayed()
    {
        TaskCompletionSource goOn = new();
        FakeOperation operation = new("do.it")
        {
            Work = async (context, ct) =>
            {
                context.Report("trainingRuns/x", new RunStatus { Progress = new Progress { Phase = "training", Completed = 5, Total = 9 }, Metrics = { ["loss"] = 2.5 } });
                await goOn.Task.WaitAsync(ct);
                return [];
            },
        };
        await using GatewayApp app = await GatewayApp.StartAsync(operations: [operation]);
        ExperimentRun run = await app.CreateRunAsync(new CreateExperimentRunRequest { Yaml = "name: e\nsteps: [{ id: a, operation: do.it }]" });

        StepRun step = await FirstAsync(app, run.Name, r => r.Steps[0].Status.Progress is not null, r => r.Steps[0]);
        goOn.SetResult();

        step.Run.ShouldBe("trainingRuns/x");
        step.Status.State.ShouldBe(RunState.Running);
        step.Status.Progress.Completed.ShouldBe(5);
        step.Status.Metrics["loss"].ShouldBe(2.5);
        (await app.EndAsync(run.Name)).Status.State.ShouldBe(RunState.Succeeded);
    }

    [Fact]
    public async Task Cancel_AtWork_CancelsTheWorkAndResumeTakesItUp()
    {
        bool blocks = true;
        FakeOperation operation = new("do.it");
        operation.Work = async (_, ct) =>
        {
            if (blocks) await Task.Delay(Timeout.Infinite, ct);
            return [];
        };
        await using GatewayApp app = await GatewayApp.StartAsync(operations: [operation]);
        ExperimentRun run = await app.CreateRunAsync(
            new CreateExperimentRunRequest { Yaml = "name: e\nsteps: [{ id: a, operation: do.it }, { id: b, operation: do.it, with: { value: 1 } }]" });
        await FirstAsync(app, run.Name, r => r.Steps[0].Status.State == RunState.Running, r => r);

        await app.CancelRunAsync(run.Name);
        ExperimentRun cancelled = await app.EndAsync(run.Name);

        cancelled.Status.State.ShouldBe(RunState.Cancelled);
        cancelled.Steps.Select(s => s.Status.State).ShouldBe([RunState.Cancelled, RunState.Queued]);
        operation.Cancelled.Single().RunId.ShouldBe(operation.Calls.Single().RunId);

        blocks = false;
        await app.ResumeRunAsync(run.Name);
        (await app.EndAsync(run.Name)).Status.State.ShouldBe(RunState.Succeeded);
        operation.Calls[1].RunId.ShouldBe(operation.Calls[0].RunId);
        (await app.CancelRunAsync(run.Name)).Status.State.ShouldBe(RunState.Succeeded);
    }

    [Fact]
    public async Task Restart_InTheMiddle_GoesOnWithTheSameWork()
    {
        using TemporaryFolder data = new();
        FakeOperation first = new("do.first"), blocked = new("do.second"), free = new("do.second");
        blocked.Work = async (_, ct) =>
        {
            await Task.Delay(Timeout.Infinite, ct);
            return [];
        };
        const string Yaml = """
            name: e
            steps:
              - { id: a, operation: do.first, with: { value: 1 } }
              - { id: b, operation: do.second, with: { value: "${steps.a.value}" } }
            """;
        string name;
        await using (GatewayApp app = await GatewayApp.StartAsync(data.Path, [first, blocked]))
        {
            name = (await app.CreateRunAsync(new CreateExperimentRunRequest { Yaml = Yaml, IgnoreCache = true })).Name;
            await FirstAsync(app, name, r => r.Steps[1].Status.State == RunState.Running, r => r);
        }
        blocked.Cancelled.ShouldBeEmpty("the end of the process leaves the work alone");

        await using GatewayApp again = await GatewayApp.StartAsync(data.Path, [first, free]);
        ExperimentRun run = await again.EndAsync(name);

        run.Status.State.ShouldBe(RunState.Succeeded);
        run.Status.ResumeCount.ShouldBe(1);
        first.Calls.Count.ShouldBe(1);
        free.Calls.Single().RunId.ShouldBe(blocked.Calls.Single().RunId);
    }

    [Fact]
    public async Task Restart_AfterEnd_KeepsTheRunAndDoesNotWork()
    {
        using TemporaryFolder data = new();
        FakeOperation operation = new("do.it");
        ExperimentRun before;
        await using (GatewayApp app = await GatewayApp.StartAsync(data.Path, [operation]))
            before = await app.RunAsync("name: e\nsteps: [{ id: a, operation: do.it, with: { value: 1 } }]\nreport: { metrics: { m: \"${steps.a.value}\" } }");

        await using GatewayApp again = await GatewayApp.StartAsync(data.Path, [operation]);

        (await again.GetRunAsync(before.Name)).ShouldBe(before);
        operation.Calls.Count.ShouldBe(1);
    }

    [Fact]
    public async Task Start_DataFolderInUse_SaysSo()
    {
        using TemporaryFolder data = new();
        await using GatewayApp app = await GatewayApp.StartAsync(data.Path, []);

        InvalidOperationException fault = await Should.ThrowAsync<InvalidOperationException>(async () =>
        {
            await using GatewayApp second = await GatewayApp.StartAsync(data.Path, []);
        });
        fault.Message.ShouldContain(data.Path);
        fault.Message.ShouldContain("Lab__Data");
    }

    [Fact]
    public async Task Run_ParallelSteps_AreWorkedOnTogetherUpToTheLimit()
    {
        int now = 0, most = 0;
        TaskCompletionSource both = new();
        FakeOperation operation = new("do.it")
        {
            IsCacheable = false,
            Work = async (context, ct) =>
            {
                most = Math.Max(most, Interlocked.Increment(ref now));
                if (now == 2) both.TrySetResult();
                await both.Task.WaitAsync(ct);
                Interlocked.Decrement(ref now);
                return [];
            },
        };
        await using GatewayApp app = await GatewayApp.StartAsync(operations: [operation], settings: ["Lab:Gateway:MaxParallelSteps=2"]);

        ExperimentRun run = await app.RunAsync("name: e\nsteps: [{ id: a, operation: do.it, for_each: [1, 2, 3], with: { value: \"${item}\" } }]");

        run.Status.State.ShouldBe(RunState.Succeeded);
        most.ShouldBe(2);
    }

    [Fact]
    public async Task Run_TwoAtOnceWithEqualInputs_ShareTheRunIdUnlessCacheIsIgnored()
    {
        FakeOperation operation = new("do.it"), unshared = new("do.own") { IsCacheable = false };
        await using GatewayApp app = await GatewayApp.StartAsync(operations: [operation, unshared]);
        const string Yaml = "name: e\nsteps: [{ id: a, operation: do.it, with: { value: 1.0 } }, { id: b, operation: do.own }]";

        ExperimentRun first = await app.RunAsync(Yaml);
        ExperimentRun second = await app.RunAsync(Yaml);
        ExperimentRun third = await app.RunAsync(Yaml, ignoreCache: true);

        first.Steps[0].Cached.ShouldBeFalse();
        second.Steps[0].Cached.ShouldBeTrue();
        second.Steps[0].Outputs.ShouldBe(first.Steps[0].Outputs);
        third.Steps[0].Cached.ShouldBeFalse();
        operation.Calls.Select(c => c.RunId.Length).ToArray().ShouldBe([29, 38]);
        operation.Calls[1].RunId.ShouldStartWith(operation.Calls[0].RunId);
        unshared.Calls.Select(c => c.RunId).Distinct().Count().ShouldBe(3);
    }

    private static async Task<T> FirstAsync<T>(GatewayApp app, string name, Func<ExperimentRun, bool> condition, Func<ExperimentRun, T> select)
    {
        using AsyncServerStreamingCall<ExperimentRun> watch = app.Client.WatchExperimentRun(new WatchExperimentRunRequest { Name = name }, cancellationToken: Ct);
        while (await watch.ResponseStream.MoveNext(Ct))
            if (condition(watch.ResponseStream.Current)) return select(watch.ResponseStream.Current);
        throw new InvalidOperationException("The run ended before.");
    }
}
