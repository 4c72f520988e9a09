using Grpc.Core;
using Lab.ModelHost.Residents;
using Lab.Protos.ModelHost.V1;
using Lab.ServiceDefaults.Errors;

namespace Lab.ModelHost;

/// <summary>Comparisons.</summary>
internal sealed partial class ModelHostEndpoint
{
    public override async Task Diff(DiffRequest request, IServerStreamWriter<DiffResponse> responseStream, ServerCallContext context)
    {
        if (request.Run is null) throw new InvalidRequestException("run", "A run is required.");
        using ModelLease lease = await registry.LeaseAsync(request.Run.Model, "run.model", context.CancellationToken);
        await diffs.RunAsync(request, lease, responseStream, context.CancellationToken);
    }
}
