using System.Text.Json.Nodes;
using Google.Rpc;
using Grpc.Core;
using Lab.Artifacts;
using Lab.Protos.Experiment.V1;
using Lab.Protos.Run.V1;
using Lab.ServiceDefaults;
using Lab.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Lab.Gateway.Tests.Engine;

public sealed class StepExecutionTests : IDisposable
{
    private const string Yaml = """
        name: e
        steps:
          - { id: a, operation: do.it, with: { input: inputs/a, output_name: outputs/b, n: 1 } }
        """;

    private readonly TemporaryFolder _data = new();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public void Dispose() => _data.Dispose();

    [Fact]
    public async Task Run_ArtifactInputByName_IsPinnedToItsDigest()
    {
        FakeOperation operation = Operation();
        await using GatewayApp app = await GatewayApp.StartAsync(_data.Path, [operation]);
        string first = await NameAsync(app, "inputs/a", "one");
        operation.Work = (_, _) => Task.FromResult(new JsonObject { ["artifact"] = first });
        ExperimentRun before = await app.RunAsync(Yaml);

        string second = await NameAsync(app, "inputs/a", "two");
        ExperimentRun after = await app.RunAsync(Yaml);

        operation.Calls.Select(c => c.With["input"]!.GetValue<string>()).ShouldBe([first, second]);
        before.Steps[0].InputDigest.ShouldNotBe(after.Steps[0].InputDigest);
        operation.Calls[0].With.ContainsKey("output_name").ShouldBeFalse("the gateway names what comes out");
        (await Store(app).GetAsync("outputs/b", Ct)).Digest.ShouldBe(first);
    }

    [Fact]
    public async Task Run_UnknownArtifactInput_FailsNamingTheField()
    {
        await using GatewayApp app = await GatewayApp.StartAsync(_data.Path, [Operation()]);

        ExperimentRun run = await app.RunAsync(Yaml);

        run.Status.Error.Code.ShouldBe((int)Code.InvalidArgument);
        run.Status.Error.Message.ShouldBe("steps[0].with.input: there is no artifact \"inputs/a\"");
    }

    [Theory]
    [InlineData("not a name")]
    [InlineData("sha256:0000000000000000000000000000000000000000000000000000000000000000")]
    public async Task Run_WrongOutputName_FailsBeforeTheWork(string name)
    {
        FakeOperation operation = Operation();
        await using GatewayApp app = await GatewayApp.StartAsync(_data.Path, [operation]);

        ExperimentRun run = await app.RunAsync($"name: e\nsteps: [{{ id: a, operation: do.it, with: {{ output_name: \"{name}\" }} }}]");

        run.Status.Error.Message.ShouldStartWith("steps[0].with.output_name: ");
        operation.Calls.ShouldBeEmpty();
    }

    [Fact]
    public async Task Run_CachedResult_IsNamedAgain()
    {
        FakeOperation operation = Operation();
        await using GatewayApp app = await GatewayApp.StartAsync(_data.Path, [operation]);
        string artifact = await NameAsync(app, "inputs/a", "one");
        operation.Work = (_, _) => Task.FromResult(new JsonObject { ["artifact"] = artifact });
        await app.RunAsync(Yaml);
        await NameAsync(app, "outputs/b", "other");

        ExperimentRun cached = await app.RunAsync(Yaml);

        cached.Steps[0].Cached.ShouldBeTrue();
        (await Store(app).GetAsync("outputs/b", Ct)).Digest.ShouldBe(artifact);
    }

    [Fact]
    public async Task Run_CachedArtifactIsGone_ComputesAnew()
    {
        FakeOperation operation = Operation();
        await using GatewayApp app = await GatewayApp.StartAsync(_data.Path, [operation]);
        string kept = await NameAsync(app, "inputs/a", "one");
        string lost = await NameAsync(app, "lost", "two");
        operation.Work = (_, _) => Task.FromResult(new JsonObject { ["artifact"] = lost });
        await app.RunAsync(Yaml);
        File.Delete(Path.Combine(_data.Path, "artifacts", "manifests", lost["sha256:".Length..] + ".json"));
        // The run of the shared ID still gives what is gone; one of its own makes it anew.
        operation.Work = (context, _) => Task.FromResult(new JsonObject { ["artifact"] = context.RunId.Length == 29 ? lost : kept });

        ExperimentRun run = await app.RunAsync(Yaml);

        run.Status.State.ShouldBe(RunState.Succeeded, run.Status.Error?.Message);
        run.Steps[0].Cached.ShouldBeFalse();
        run.Steps[0].Outputs.Fields["artifact"].StringValue.ShouldBe(kept);
        operation.Calls.Count.ShouldBe(3);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{\"Operation\":")]
    [InlineData("null")]
    public async Task Run_DamagedCacheFile_ComputesAnewAndRepairsIt(string content)
    {
        FakeOperation operation = Operation();
        await using GatewayApp app = await GatewayApp.StartAsync(_data.Path, [operation]);
        const string Plain = "name: e\nsteps: [{ id: a, operation: do.it, with: { n: 1 } }]";
        await app.RunAsync(Plain);
        string path = Directory.EnumerateFiles(Path.Combine(_data.Path, "gateway", "steps")).Single();
        await File.WriteAllTextAsync(path, content, Ct);

        (await app.RunAsync(Plain)).Steps[0].Cached.ShouldBeFalse();
        (await app.RunAsync(Plain)).Steps[0].Cached.ShouldBeTrue();
    }

    [Fact]
    public async Task Run_WorkThatOthersChanged_IsUsedButNotKept()
    {
        FakeOperation operation = Operation();
        operation.Work = (context, _) =>
        {
            // Stopped by someone while the step waits; then the shared run is there as it was left.
            if (operation.Calls.Count < 3) context.Altered(operation.Calls.Count == 2);
            return Task.FromResult(new JsonObject { ["value"] = operation.Calls.Count });
        };
        await using GatewayApp app = await GatewayApp.StartAsync(_data.Path, [operation]);
        const string Plain = "name: e\nsteps: [{ id: a, operation: do.it, with: { n: 1 } }]";

        ExperimentRun first = await app.RunAsync(Plain), second = await app.RunAsync(Plain), third = await app.RunAsync(Plain);

        first.Steps[0].Outputs.Fields["value"].NumberValue.ShouldBe(1);
        second.Steps[0].Outputs.Fields["value"].NumberValue.ShouldBe(3);
        operation.Calls.Select(call => call.RunId.Length).ShouldBe([29, 29, 38], "the second run does the work anew, on its own");
        third.Steps[0].Cached.ShouldBeTrue();
        third.Steps[0].Outputs.ShouldBe(second.Steps[0].Outputs);
    }

    [Fact]
    public async Task Run_InputsThatMeanSomethingElseTomorrow_AreNeverCachedOrShared()
    {
        FakeOperation operation = Operation();
        await using GatewayApp app = await GatewayApp.StartAsync(_data.Path, [operation]);
        const string Changing = "name: e\nsteps: [{ id: a, operation: do.it, with: { changing: 1 } }]";

        (await app.RunAsync(Changing)).Steps[0].Cached.ShouldBeFalse();
        (await app.RunAsync(Changing)).Steps[0].Cached.ShouldBeFalse();

        operation.Calls.Select(call => call.RunId).Distinct().Count().ShouldBe(2);
    }

    [Fact]
    public async Task Restart_AfterKill_GoesOnFromWhatIsOnDisk()
    {
        TaskCompletionSource reached = new();
        FakeOperation first = new("do.first"), blocked = new("do.second");
        blocked.Work = async (_, ct) =>
        {
            reached.SetResult();
            await Task.Delay(Timeout.Infinite, ct);
            return [];
        };
        await using GatewayApp killed = await GatewayApp.StartAsync(_data.Path, [first, blocked]);
        ExperimentRun run = await killed.CreateRunAsync(new CreateExperimentRunRequest
        {
            Yaml = "name: e\nsteps: [{ id: a, operation: do.first, with: { value: 1 } }, { id: b, operation: do.second, with: { value: \"${steps.a.value}\" } }]",
        });
        await reached.Task.WaitAsync(Ct);

        // The files as a kill at this moment would leave them.
        using TemporaryFolder copy = new();
        foreach (string path in Directory.EnumerateFiles(_data.Path, "*.json", SearchOption.AllDirectories))
        {
            string target = Path.Combine(copy.Path, Path.GetRelativePath(_data.Path, path));
            _ = Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(path, target);
        }
        FakeOperation second = new("do.second");
        await using GatewayApp again = await GatewayApp.StartAsync(copy.Path, [first, second]);

        (await again.EndAsync(run.Name)).Status.State.ShouldBe(RunState.Succeeded);
        first.Calls.Count.ShouldBe(1);
        second.Calls.Single().RunId.ShouldBe(blocked.Calls.Single().RunId);
    }

    [Fact]
    public async Task Create_DiskFull_IsRefusedAndLeavesNothing()
    {
        bool isFull = true;
        await using GatewayApp app = await GatewayApp.StartAsync(_data.Path, [Operation()], configure: services => services.Replace(ServiceDescriptor.Singleton(
            new AtomicFile(path => isFull ? throw new IOException("No space left on device", 28) : new FileStream(path, FileMode.CreateNew)))));
        CreateExperimentRunRequest request = new() { Yaml = "name: e\nsteps: [{ id: a, operation: do.it }]", RunId = "r" };

        RpcException fault = await Should.ThrowAsync<RpcException>(() => app.CreateRunAsync(request));
        fault.StatusCode.ShouldBe(StatusCode.ResourceExhausted);
        fault.GetRpcStatus()!.GetDetail<ErrorInfo>()!.Reason.ShouldBe("DISK_FULL");
        (await Should.ThrowAsync<RpcException>(() => app.GetRunAsync("experimentRuns/r"))).StatusCode.ShouldBe(StatusCode.NotFound);

        isFull = false;
        await app.CreateRunAsync(request);
        (await app.EndAsync("experimentRuns/r")).Status.State.ShouldBe(RunState.Succeeded);
    }

    [Fact]
    public async Task Run_DiskFullWhenAStepIsKept_FailsSayingSo()
    {
        bool isFull = false;
        FakeOperation operation = Operation();
        operation.Work = (_, _) =>
        {
            isFull = true;
            return Task.FromResult(new JsonObject());
        };
        await using GatewayApp app = await GatewayApp.StartAsync(_data.Path, [operation], configure: services => services.Replace(ServiceDescriptor.Singleton(
            new AtomicFile(path => isFull ? throw new IOException("No space left on device", 28) : new FileStream(path, FileMode.CreateNew)))));

        ExperimentRun run = await app.RunAsync("name: e\nsteps: [{ id: a, operation: do.it }]");

        run.Status.State.ShouldBe(RunState.Failed);
        run.Status.Error.Code.ShouldBe((int)Code.ResourceExhausted);
    }

    private static FakeOperation Operation() => new("do.it") { ArtifactInputs = ["input"], NamedOutput = "artifact" };

    private static ArtifactStore Store(GatewayApp app) => app.Services.GetRequiredService<ArtifactStore>();

    private static async Task<string> NameAsync(GatewayApp app, string name, string content)
    {
        StoredArtifact artifact = await Store(app).PutAsync(
            "model", new ArtifactProvenance("test", new Dictionary<string, string>(), [], null),
            (folder, ct) => File.WriteAllTextAsync(Path.Combine(folder, "x"), content, ct), Ct);
        await Store(app).SetNameAsync(name, artifact.Digest, Ct);
        return artifact.Digest;
    }
}
