using Grpc.Core;
using Lab.ModelHost.Residents;
using Lab.Protos.ModelHost.V1;

namespace Lab.ModelHost;

/// <summary>Statistics.</summary>
internal sealed partial class ModelHostEndpoint
{
    public override async Task CollectStatistics(CollectStatisticsRequest request, IServerStreamWriter<CollectStatisticsResponse> responseStream, ServerCallContext context)
    {
        using ModelLease lease = await registry.LeaseAsync(request.Model, "model", context.CancellationToken);
        await statistics.CollectAsync(request, lease.Model, responseStream, context.CancellationToken);
    }

    public override Task MergeStatistics(
        IAsyncStreamReader<MergeStatisticsRequest> requestStream, IServerStreamWriter<CollectStatisticsResponse> responseStream, ServerCallContext context) =>
        statistics.MergeAsync(requestStream, responseStream, context.CancellationToken);
}
