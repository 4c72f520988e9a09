using Grpc.Core;
using Lab.ModelHost.Generation;
using Lab.ModelHost.Mapping;
using Lab.ModelHost.Residents;
using Lab.Protos.ModelHost.V1;

namespace Lab.ModelHost;

/// <summary>Generation.</summary>
internal sealed partial class ModelHostEndpoint
{
    public override async Task Generate(GenerateRequest request, IServerStreamWriter<GenerateResponse> responseStream, ServerCallContext context)
    {
        using ModelLease lease = await registry.LeaseAsync(request.Model, "model", context.CancellationToken);
        GenerationOrder order = request.ToOrder(lease.Model);
        await foreach (GeneratedToken token in generator.GenerateAsync(lease.Model, order, context.CancellationToken))
        {
            await responseStream.WriteAsync(token.ToResponse(lease.Model), context.CancellationToken);
        }
    }
}
