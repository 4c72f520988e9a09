using Grpc.Core;
using Lab.Gateway.Definitions;
using Lab.Gateway.Engine;
using Lab.Gateway.Operations;
using Lab.Protos.Experiment.V1;
using Lab.ServiceDefaults;
using Lab.ServiceDefaults.Errors;

namespace Lab.Gateway.Experiments;

/// <summary>lab.experiment.v1.ExperimentService.</summary>
internal sealed class ExperimentEndpoint(
    ExperimentCatalog catalog, ExperimentPlanner planner, RunIndex index, IGrainFactory grains, IHostApplicationLifetime lifetime)
    : ExperimentService.ExperimentServiceBase
{
    public override Task<Experiment> GetExperiment(GetExperimentRequest request, ServerCallContext context) =>
        Task.FromResult(catalog.Get(request.Name));

    public override Task<ListExperimentsResponse> ListExperiments(ListExperimentsRequest request, ServerCallContext context)
    {
        (IReadOnlyList<Experiment> page, string next) = Pages.Take("experiments", catalog.List(), e => e.Name, request.PageSize, request.PageToken);
        return Task.FromResult(new ListExperimentsResponse { Experiments = { page }, NextPageToken = next });
    }

    public override async Task<ExperimentRun> CreateExperimentRun(CreateExperimentRunRequest request, ServerCallContext context)
    {
        ExperimentPlan plan = Plan(request);
        ExperimentRun asked = new()
        {
            Experiment = plan.Definition.Name,
            Yaml = plan.Definition.Yaml,
            Parameters = ProtoJson.ToStruct(plan.Parameters),
        };
        string id = request.RunId.Length > 0 ? request.RunId : NewId(plan.Definition.Name);
        ExperimentRun run = await grains.GetGrain<IExperimentRunGrain>(id).CreateAsync(asked, request.IgnoreCache);
        return run.Yaml == asked.Yaml && run.Parameters.Equals(asked.Parameters)
            ? run
            : throw new AbortedException("RUN_EXISTS", $"{run.Name} exists with another definition or other parameters.");
    }

    public override async Task<ExperimentRun> GetExperimentRun(GetExperimentRunRequest request, ServerCallContext context) =>
        Found(await Grain(request.Name).FindAsync(), request.Name);

    public override async Task<ListExperimentRunsResponse> ListExperimentRuns(ListExperimentRunsRequest request, ServerCallContext context)
    {
        (var page, string next) = Pages.Take(
            "experimentRuns", index.List(), r => Pages.NewestFirst(r.Value, r.Key), request.PageSize, request.PageToken);
        ExperimentRun?[] runs = await Task.WhenAll(page.Select(r => grains.GetGrain<IExperimentRunGrain>(r.Key).FindAsync()));
        return new ListExperimentRunsResponse { ExperimentRuns = { runs.OfType<ExperimentRun>() }, NextPageToken = next };
    }

    public override async Task<ExperimentRun> CancelExperimentRun(CancelExperimentRunRequest request, ServerCallContext context) =>
        Found(await Grain(request.Name).CancelAsync(), request.Name);

    public override async Task<ExperimentRun> ResumeExperimentRun(ResumeExperimentRunRequest request, ServerCallContext context) =>
        Found(await Grain(request.Name).ResumeAsync(), request.Name);

    public override async Task WatchExperimentRun(
        WatchExperimentRunRequest request, IServerStreamWriter<ExperimentRun> responseStream, ServerCallContext context)
    {
        using CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.ApplicationStopping);
        await RunWatch.RelayAsync(Grain(request.Name), responseStream, end.Token);
    }

    private ExperimentPlan Plan(CreateExperimentRunRequest request)
    {
        if (request.RunId.Length > 0 && !RunNames.IsId(request.RunId))
            throw new InvalidRequestException("run_id", "must be 1 to 63 lower-case letters, digits and hyphens, beginning with a letter");
        return request.DefinitionCase switch
        {
            CreateExperimentRunRequest.DefinitionOneofCase.Experiment => planner.Plan(catalog.Get(request.Experiment).Yaml, request.Parameters),
            CreateExperimentRunRequest.DefinitionOneofCase.Yaml => planner.Plan(request.Yaml, request.Parameters),
            _ => throw new InvalidRequestException("definition", "one of experiment and yaml is required"),
        };
    }

    /// <exception cref="NotFoundException">There is no such run.</exception>
    private IExperimentRunGrain Grain(string name)
    {
        string id = RunNames.IdOf(name);
        return index.Contains(id) ? grains.GetGrain<IExperimentRunGrain>(id) : throw new NotFoundException("ExperimentRun", name);
    }

    private static ExperimentRun Found(ExperimentRun? run, string name) => run ?? throw new NotFoundException("ExperimentRun", name);

    private static string NewId(string experiment) => $"{experiment}-{Guid.NewGuid().ToString("n")[..8]}";
}
