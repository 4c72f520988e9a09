using Google.Protobuf;
using Google.Rpc;
using Grpc.Core;
using Lab.Artifacts;
using Lab.EndToEnd.Tests.Support;
using Lab.Protos.Experiment.V1;
using Lab.Protos.ModelHost.V1;
using Lab.Protos.Run.V1;
using Lab.Protos.Tensor.V1;
using Lab.ServiceDefaults.Clients;

namespace Lab.EndToEnd.Tests;

/// <summary>What clients get to see of their mistakes, at the gateway's address.</summary>
public sealed class BadInputTests(Baseline baseline, SharedLab shared)
{
    private const string Prompt = "print(\"file";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public static TheoryData<string, Action<RunRequest>> BadRuns => new()
    {
        { "captures[0].hook", request => request.Captures[0].Hook = "blocks.7.hook_resid_post" },
        { "captures[0].positions[1]", request => request.Captures[0].Positions.Add([0, 31]) },
        {
            "interventions[0].set.value.inline.data", request => request.Interventions.Add(new Intervention
            {
                Selector = new Selector { Hook = "hook_embed" },
                Set = new SetOperation { Value = new TensorSource { Inline = new Tensor { DataType = DataType.Fp32, Shape = { 32 }, Data = ByteString.CopyFrom(new byte[127]) } } },
            })
        },
    };

    [Theory]
    [MemberData(nameof(BadRuns))]
    public async Task Run_BadRequest_IsInvalidArgumentOfTheField(string field, Action<RunRequest> spoil)
    {
        (ModelHostService.ModelHostServiceClient client, string model) = await HostedAsync();
        RunRequest request = ModelClient.Request(model, "blocks.0.hook_resid_post", Prompt);
        spoil(request);

        RpcException fault = await Should.ThrowAsync<RpcException>(() => client.RunToEndAsync(request, Ct));

        fault.StatusCode.ShouldBe(StatusCode.InvalidArgument);
        Violation(fault).Field.ShouldBe(field);
    }

    [Fact]
    public async Task Run_UnknownModel_IsNotFoundByName()
    {
        (ModelHostService.ModelHostServiceClient client, _) = await HostedAsync();

        RpcException fault = await Should.ThrowAsync<RpcException>(() => client.RunToEndAsync(ModelClient.Request("models/nowhere", "hook_embed", Prompt), Ct));

        fault.StatusCode.ShouldBe(StatusCode.NotFound);
        fault.GetRpcStatus()!.GetDetail<ResourceInfo>()!.ResourceName.ShouldBe("models/nowhere");
    }

    [Fact]
    public async Task LoadModel_OneByteOfItChanged_IsDataLossOfTheFile()
    {
        (ModelHostService.ModelHostServiceClient client, string model) = await HostedAsync();
        ArtifactStore store = new(Path.Combine((await shared.StartedAsync()).DataFolder, "artifacts"));
        StoredArtifact damaged = await CopyAsync(store, await store.GetAsync(model, Ct));
        FlipAByte(store.GetPath(damaged, "model.safetensors"));

        RpcException fault = await Should.ThrowAsync<RpcException>(async () => await client.LoadModelAsync(new LoadModelRequest { Name = damaged.Digest }, cancellationToken: Ct));

        fault.StatusCode.ShouldBe(StatusCode.DataLoss);
        fault.Status.Detail.ShouldContain("model.safetensors");
        fault.Status.Detail.ShouldContain(damaged.Digest);
    }

    [Fact]
    public async Task CreateExperimentRun_MalformedYaml_IsInvalidArgumentWithTheLine()
    {
        ExperimentService.ExperimentServiceClient client = new((await shared.StartedAsync()).Channel);

        RpcException fault = await Should.ThrowAsync<RpcException>(async () => await client.CreateExperimentRunAsync(
            new CreateExperimentRunRequest { Yaml = "name: broken\nsteps:\n  - id: [one\n" }, cancellationToken: Ct));

        fault.StatusCode.ShouldBe(StatusCode.InvalidArgument);
        Violation(fault).Field.ShouldBe("yaml");
        Violation(fault).Description.ShouldMatch("line [34]");
    }

    [Fact]
    public async Task ExperimentRun_StepWithUnknownModel_FailsWithTheServicesError()
    {
        ExperimentService.ExperimentServiceClient client = new((await shared.StartedAsync()).Channel);
        const string yaml = """
            name: unknown-model
            steps:
              - id: host
                operation: model_host.load
                with: { name: models/nowhere }
            """;

        ExperimentRun run = await client.CreateExperimentRunAsync(new CreateExperimentRunRequest { Yaml = yaml }, cancellationToken: Ct);
        await foreach (ExperimentRun snapshot in LabResilience.WatchAsync(
            ct => client.WatchExperimentRun(new WatchExperimentRunRequest { Name = run.Name }, cancellationToken: ct), Ct)) run = snapshot;

        run.Status.State.ShouldBe(RunState.Failed);
        run.Steps.Single().Status.Error.Code.ShouldBe((int)Code.NotFound);
        run.Steps.Single().Status.Error.Message.ShouldContain("models/nowhere");
    }

    private static BadRequest.Types.FieldViolation Violation(RpcException fault) => fault.GetRpcStatus()!.GetDetail<BadRequest>()!.FieldViolations.ShouldHaveSingleItem();

    /// <summary>A client at the gateway, and a model that is resident.</summary>
    private async Task<(ModelHostService.ModelHostServiceClient Client, string Model)> HostedAsync()
    {
        string model = (await shared.ReportAsync(baseline.Corpus, 0)).DigestOf("sparse");
        ModelHostService.ModelHostServiceClient client = new((await shared.StartedAsync()).Channel);
        await client.LoadModelAsync(new LoadModelRequest { Name = model }, cancellationToken: Ct);
        return (client, model);
    }

    /// <summary>Another model, whose weights no other artifact shares.</summary>
    private static Task<StoredArtifact> CopyAsync(ArtifactStore store, StoredArtifact model)
    {
        ArtifactProvenance provenance = new("a test", new Dictionary<string, string>(), [], null);
        return store.PutAsync(
            model.Kind, provenance,
            (folder, _) =>
            {
                foreach (StoredFile file in model.Files) File.WriteAllBytes(Path.Combine(folder, file.Path), File.ReadAllBytes(store.GetPath(model, file.Path)));
                FlipAByte(Path.Combine(folder, "model.safetensors"), fromEnd: 8);
                return Task.CompletedTask;
            },
            Ct);
    }

    private static void FlipAByte(string path, int fromEnd = 1)
    {
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        using FileStream file = new(path, FileMode.Open, FileAccess.ReadWrite);
        file.Seek(-fromEnd, SeekOrigin.End);
        int before = file.ReadByte();
        file.Seek(-fromEnd, SeekOrigin.End);
        file.WriteByte((byte)(before ^ 1));
    }
}
