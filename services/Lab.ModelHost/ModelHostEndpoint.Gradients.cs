using Grpc.Core;
using Lab.ModelHost.Residents;
using Lab.Protos.ModelHost.V1;

namespace Lab.ModelHost;

/// <summary>Gradients.</summary>
internal sealed partial class ModelHostEndpoint
{
    public override async Task Gradients(GradientsRequest request, IServerStreamWriter<GradientsResponse> responseStream, ServerCallContext context)
    {
        using ModelLease lease = await registry.LeaseAsync(request.Model, "model", context.CancellationToken);
        await gradients.RunAsync(request, lease, responseStream, context.CancellationToken);
    }
}
