using Grpc.Core;
using Lab.ModelHost.Mapping;
using Lab.ModelHost.Residents;
using Lab.Protos.ModelHost.V1;

namespace Lab.ModelHost;

/// <summary>The work that waits.</summary>
internal sealed partial class ModelHostEndpoint
{
    public override async Task<ModelQueue> GetQueue(GetQueueRequest request, ServerCallContext context)
    {
        using ModelLease lease = await registry.LeaseAsync(request.Model, "model", context.CancellationToken);
        return lease.Model.Scheduler.State.ToMessage();
    }
}
