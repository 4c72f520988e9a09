using System.Text.Json.Nodes;
using Grpc.Core;
using Lab.Gateway.Definitions;
using Lab.Gateway.Operations;
using Lab.Protos.Experiment.V1;
using Lab.Protos.Run.V1;
using Lab.ServiceDefaults;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Lab.Gateway.Tests.Engine;

/// <summary>What calls and steps do when the state of a run cannot be stored, and once it can be again.</summary>
public sealed class FullDiskTests
{
    private bool _isFull;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Resume_DiskFull_IsRefusedAndCanBeAskedForAgain()
    {
        bool fails = true;
        FakeOperation operation = new("do.it")
        {
            Work = (_, _) => fails ? throw new StepFailedException(new Google.Rpc.Status { Code = 13, Message = "broken" }) : Task.FromResult(new JsonObject()),
        };
        await using GatewayApp app = await StartAsync([operation]);
        ExperimentRun failed = await app.RunAsync("name: e\nsteps: [{ id: a, operation: do.it }]");

        (_isFull, fails) = (true, false);
        (await Should.ThrowAsync<RpcException>(() => app.ResumeRunAsync(failed.Name))).StatusCode.ShouldBe(StatusCode.ResourceExhausted);
        (await app.GetRunAsync(failed.Name)).ShouldBe(failed);
        _isFull = false;
        await app.ResumeRunAsync(failed.Name);

        (await app.EndAsync(failed.Name)).Status.State.ShouldBe(RunState.Succeeded);
    }

    [Fact]
    public async Task Cancel_DiskFull_IsRefusedAndCanBeAskedForAgain()
    {
        TaskCompletionSource started = new();
        FakeOperation operation = new("do.it")
        {
            Work = async (_, ct) =>
            {
                started.TrySetResult();
                await Task.Delay(Timeout.Infinite, ct);
                return [];
            },
        };
        await using GatewayApp app = await StartAsync([operation]);
        ExperimentRun run = await app.CreateRunAsync(new CreateExperimentRunRequest { Yaml = "name: e\nsteps: [{ id: a, operation: do.it }]" });
        await started.Task.WaitAsync(Ct);

        _isFull = true;
        (await Should.ThrowAsync<RpcException>(() => app.CancelRunAsync(run.Name))).StatusCode.ShouldBe(StatusCode.ResourceExhausted);
        (await app.GetRunAsync(run.Name)).Status.State.ShouldBe(RunState.Running);
        _isFull = false;
        await app.CancelRunAsync(run.Name);

        (await app.EndAsync(run.Name)).Status.State.ShouldBe(RunState.Cancelled);
    }

    [Fact]
    public async Task Run_DiskFullWhenAStepIsKept_WaitsForTheOtherStepsBeforeItEnds()
    {
        TaskCompletionSource second = new(), goOn = new();
        FakeOperation operation = new("do.it")
        {
            Work = async (context, ct) =>
            {
                if (JsonNumbers.ToDouble(context.With["n"]!) == 1)
                {
                    await second.Task.WaitAsync(ct);
                    _isFull = true;
                }
                else
                {
                    second.SetResult();
                    await goOn.Task.WaitAsync(ct);
                }

                return [];
            },
        };
        await using GatewayApp app = await StartAsync([operation], "Lab:Gateway:MaxParallelSteps=2");
        ExperimentRun run = await app.CreateRunAsync(new CreateExperimentRunRequest { Yaml = "name: e\nsteps: [{ id: a, operation: do.it, for_each: [1, 2], with: { n: \"${item}\" } }]" });
        using AsyncServerStreamingCall<ExperimentRun> watch = app.Client.WatchExperimentRun(new WatchExperimentRunRequest { Name = run.Name }, cancellationToken: Ct);
        while (run.Steps[0].Status.State != RunState.Failed && await watch.ResponseStream.MoveNext(Ct)) run = watch.ResponseStream.Current;

        _isFull = false;
        goOn.SetResult();
        run = await app.EndAsync(run.Name);

        run.Status.State.ShouldBe(RunState.Failed);
        run.Status.Error.Code.ShouldBe((int)Google.Rpc.Code.ResourceExhausted);
        run.Steps.Select(step => step.Status.State).ShouldBe([RunState.Failed, RunState.Succeeded]);
    }

    private Task<GatewayApp> StartAsync(FakeOperation[] operations, params string[] settings) =>
        GatewayApp.StartAsync(operations: operations, settings: settings, configure: services => services.Replace(ServiceDescriptor.Singleton(
            new AtomicFile(path => _isFull ? throw new IOException("No space left on device", 28) : new FileStream(path, FileMode.CreateNew)))));
}
