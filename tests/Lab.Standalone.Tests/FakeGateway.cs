using Grpc.Core;
using Lab.Protos.Artifact.V1;
using Lab.Protos.Experiment.V1;
using Lab.Protos.Run.V1;
using Lab.ServiceDefaults;
using Lab.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;

namespace Lab.Standalone.Tests;

/// <summary>A gateway on a free port that has one experiment, whose runs do what the test says, and one report.</summary>
internal sealed class FakeGateway : IAsyncDisposable
{
    public const string ReportDigest = "sha256:0000000000000000000000000000000000000000000000000000000000000001";

    private PartHost _host = null!;

    private FakeGateway()
    {
    }

    public string Url => _host.Url;

    public Experiment Experiment { get; } = new()
    {
        Name = "demo",
        Description = "Shows it.",
        Yaml = "name: demo\n",
        Parameters =
        {
            new Parameter { Name = "seed", Type = "int", DefaultValue = Google.Protobuf.WellKnownTypes.Value.ForNumber(0), Description = "Seeds it." },
            new Parameter { Name = "rate", Type = "number", DefaultValue = Google.Protobuf.WellKnownTypes.Value.ForNumber(0.5) },
            new Parameter { Name = "label", Type = "string", DefaultValue = Google.Protobuf.WellKnownTypes.Value.ForString("a") },
            new Parameter { Name = "deep", Type = "bool", DefaultValue = Google.Protobuf.WellKnownTypes.Value.ForBool(false) },
        },
    };

    /// <summary>Newest first.</summary>
    public List<ExperimentRun> Runs { get; } = [];

    /// <summary>The calls that change something, in order.</summary>
    public List<object> Calls { get; } = [];

    /// <summary>What a watched run does; by default it succeeds at once.</summary>
    public Func<ExperimentRun, CancellationToken, IAsyncEnumerable<ExperimentRun>> Watch { get; set; } = Succeed;

    public static async Task<FakeGateway> StartAsync()
    {
        var gateway = new FakeGateway();
        gateway._host = await PartHost.StartAsync(
            "unused",
            builder => builder.AddLabDefaults("Gateway").Services.AddSingleton(gateway),
            app =>
            {
                app.MapGrpcService<ExperimentEndpoint>();
                app.MapGrpcService<ArtifactEndpoint>();
                app.MapLabDefaults();
            });
        return gateway;
    }

    public ExperimentRun Add(string id, RunState state, Google.Protobuf.WellKnownTypes.Struct parameters)
    {
        var run = new ExperimentRun
        {
            Name = $"experimentRuns/{id}",
            Experiment = Experiment.Name,
            Yaml = Experiment.Yaml,
            Parameters = parameters,
            Status = new RunStatus { State = state },
            Steps = { new StepRun { Id = "train[sparse]", Operation = "training.train", Status = new RunStatus { State = RunState.Queued } } },
        };
        Runs.Insert(0, run);
        return run;
    }

    public ValueTask DisposeAsync() => _host.DisposeAsync();

    private static async IAsyncEnumerable<ExperimentRun> Succeed(
        ExperimentRun run, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.CompletedTask;
        run.Status.State = RunState.Running;
        run.Steps[0].Status = new RunStatus
        {
            State = RunState.Running,
            Progress = new Progress { Phase = "training", Completed = 30, Total = 100, Unit = "steps", Eta = Google.Protobuf.WellKnownTypes.Duration.FromTimeSpan(TimeSpan.FromSeconds(65)) },
            Metrics = { ["loss"] = 2.5, ["held_out_loss"] = 2.25 },
        };
        yield return run;
        run.Status.State = RunState.Succeeded;
        run.Steps[0].Status.State = RunState.Succeeded;
        run.Report = ReportDigest;
        yield return run;
    }

    private sealed class ExperimentEndpoint(FakeGateway gateway) : ExperimentService.ExperimentServiceBase
    {
        public override Task<Experiment> GetExperiment(GetExperimentRequest request, ServerCallContext context) =>
            request.Name == gateway.Experiment.Name
                ? Task.FromResult(gateway.Experiment)
                : throw new ServiceDefaults.Errors.NotFoundException("Experiment", request.Name);

        public override Task<ListExperimentsResponse> ListExperiments(ListExperimentsRequest request, ServerCallContext context) =>
            Task.FromResult(new ListExperimentsResponse { Experiments = { gateway.Experiment } });

        public override Task<ListExperimentRunsResponse> ListExperimentRuns(ListExperimentRunsRequest request, ServerCallContext context)
        {
            // One a page, to have pages.
            int i = request.PageToken.Length == 0 ? 0 : int.Parse(request.PageToken, null);
            return Task.FromResult(new ListExperimentRunsResponse
            {
                ExperimentRuns = { gateway.Runs.Skip(i).Take(1) },
                NextPageToken = i + 1 < gateway.Runs.Count ? $"{i + 1}" : "",
            });
        }

        public override Task<ExperimentRun> GetExperimentRun(GetExperimentRunRequest request, ServerCallContext context) => Task.FromResult(Find(request.Name));

        public override Task<ExperimentRun> CreateExperimentRun(CreateExperimentRunRequest request, ServerCallContext context)
        {
            gateway.Calls.Add(request);
            return Task.FromResult(gateway.Add(request.RunId.Length > 0 ? request.RunId : "new", RunState.Queued, request.Parameters));
        }

        public override Task<ExperimentRun> ResumeExperimentRun(ResumeExperimentRunRequest request, ServerCallContext context)
        {
            gateway.Calls.Add(request);
            Find(request.Name).Status.State = RunState.Queued;
            return Task.FromResult(Find(request.Name));
        }

        public override Task<ExperimentRun> CancelExperimentRun(CancelExperimentRunRequest request, ServerCallContext context)
        {
            gateway.Calls.Add(request);
            gateway.Watch = (run, _) => new[] { run }.ToAsyncEnumerable();
            Find(request.Name).Status.State = RunState.Cancelled;
            return Task.FromResult(Find(request.Name));
        }

        public override async Task WatchExperimentRun(WatchExperimentRunRequest request, IServerStreamWriter<ExperimentRun> responseStream, ServerCallContext context)
        {
            await foreach (ExperimentRun run in gateway.Watch(Find(request.Name), context.CancellationToken))
                await responseStream.WriteAsync(run, context.CancellationToken);
        }

        private ExperimentRun Find(string name) =>
            gateway.Runs.Find(run => run.Name == name) ?? throw new ServiceDefaults.Errors.NotFoundException("ExperimentRun", name);
    }

    private sealed class ArtifactEndpoint : ArtifactService.ArtifactServiceBase
    {
        private static readonly Dictionary<string, string> _files = new()
        {
            ["report.html"] = "<html>",
            ["report.json"] = """{"metrics":{"dense.held_out_loss":2.1,"sparse.held_out_loss":2.2,"dense.circuit.edges":1200,"sparse.circuit.edges":80,"edge_ratio":15}}""",
        };

        public override Task<Artifact> GetArtifact(GetArtifactRequest request, ServerCallContext context) => Task.FromResult(new Artifact
        {
            Digest = request.Artifact,
            Kind = "report",
            Files = { _files.Keys.Select(path => new ArtifactFile { Path = path }) },
        });

        public override Task<ListArtifactsResponse> ListArtifacts(ListArtifactsRequest request, ServerCallContext context) =>
            Task.FromResult(new ListArtifactsResponse { Artifacts = { new Artifact { Digest = ReportDigest, Kind = request.Kind, Names = { "reports/demo" } } } });

        public override async Task ReadArtifactFile(ReadArtifactFileRequest request, IServerStreamWriter<ReadArtifactFileResponse> responseStream, ServerCallContext context)
        {
            // In two pieces, to have pieces.
            byte[] bytes = System.Text.Encoding.UTF8.GetBytes(_files[request.Path]);
            foreach (Range range in new[] { ..3, 3.. })
                await responseStream.WriteAsync(new ReadArtifactFileResponse { Data = Google.Protobuf.ByteString.CopyFrom(bytes[range]) });
        }
    }
}
