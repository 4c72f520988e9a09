using Grpc.Core;
using Lab.Artifacts;
using Lab.BridgeAlignment.Runs;
using Lab.Protos.BridgeAlignment.V1;
using Lab.ServiceDefaults.Runs;

namespace Lab.BridgeAlignment;

/// <summary>The service's calls.</summary>
internal sealed class BridgeAlignmentEndpoint(ArtifactStore store, RunRegistry<AlignmentRun> runs) : BridgeAlignmentService.BridgeAlignmentServiceBase
{
    public override async Task<AlignmentRun> CreateAlignmentRun(CreateAlignmentRunRequest request, ServerCallContext context)
    {
        _ = await AlignmentInputs.FindAsync(store, AlignmentDefaults.Fill(request.Config), context.CancellationToken);
        return runs.Create(request.RunId, new AlignmentRun { Config = request.Config });
    }

    public override Task<AlignmentRun> GetAlignmentRun(GetAlignmentRunRequest request, ServerCallContext context) =>
        Task.FromResult(runs.Get(request.Name));

    public override Task<ListAlignmentRunsResponse> ListAlignmentRuns(ListAlignmentRunsRequest request, ServerCallContext context)
    {
        (IReadOnlyList<AlignmentRun> page, string nextPageToken) = runs.List(request.PageSize, request.PageToken);
        return Task.FromResult(new ListAlignmentRunsResponse { AlignmentRuns = { page }, NextPageToken = nextPageToken });
    }

    public override Task<AlignmentRun> CancelAlignmentRun(CancelAlignmentRunRequest request, ServerCallContext context) =>
        Task.FromResult(runs.Cancel(request.Name));

    public override Task<AlignmentRun> ResumeAlignmentRun(ResumeAlignmentRunRequest request, ServerCallContext context) =>
        Task.FromResult(runs.Resume(request.Name));

    public override async Task WatchAlignmentRun(WatchAlignmentRunRequest request, IServerStreamWriter<AlignmentRun> responseStream, ServerCallContext context)
    {
        await foreach (AlignmentRun run in runs.Watch(request.Name, context.CancellationToken))
            await responseStream.WriteAsync(run, context.CancellationToken);
    }
}
