using Grpc.Core;
using Lab.Artifacts;
using Lab.CircuitAnalysis.Runs;
using Lab.Protos.CircuitAnalysis.V1;
using Lab.ServiceDefaults.Runs;

namespace Lab.CircuitAnalysis;

/// <summary>The service's calls.</summary>
internal sealed class CircuitAnalysisEndpoint(ArtifactStore store, RunRegistry<PruningRun> runs) : CircuitAnalysisService.CircuitAnalysisServiceBase
{
    public override async Task<PruningRun> CreatePruningRun(CreatePruningRunRequest request, ServerCallContext context)
    {
        PruningConfigs.Validate(request.Config);
        _ = await PruningInputs.FindAsync(store, request.Config, context.CancellationToken);
        await PruningInputs.CheckNameAsync(store, request.Config.OutputName, context.CancellationToken);
        return runs.Create(request.RunId, new PruningRun { Config = request.Config });
    }

    public override Task<PruningRun> GetPruningRun(GetPruningRunRequest request, ServerCallContext context) =>
        Task.FromResult(runs.Get(request.Name));

    public override Task<ListPruningRunsResponse> ListPruningRuns(ListPruningRunsRequest request, ServerCallContext context)
    {
        (IReadOnlyList<PruningRun> page, string nextPageToken) = runs.List(request.PageSize, request.PageToken);
        return Task.FromResult(new ListPruningRunsResponse { PruningRuns = { page }, NextPageToken = nextPageToken });
    }

    public override Task<PruningRun> CancelPruningRun(CancelPruningRunRequest request, ServerCallContext context) =>
        Task.FromResult(runs.Cancel(request.Name));

    public override Task<PruningRun> ResumePruningRun(ResumePruningRunRequest request, ServerCallContext context) =>
        Task.FromResult(runs.Resume(request.Name));

    public override async Task WatchPruningRun(WatchPruningRunRequest request, IServerStreamWriter<PruningRun> responseStream, ServerCallContext context)
    {
        await foreach (PruningRun run in runs.Watch(request.Name, context.CancellationToken))
            await responseStream.WriteAsync(run, context.CancellationToken);
    }
}
