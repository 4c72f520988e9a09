using Grpc.Core;
using Lab.ModelHost.Mapping;
using Lab.ModelHost.Residents;
using Lab.Protos.ModelHost.V1;

namespace Lab.ModelHost;

/// <summary>Text to tokens and back.</summary>
internal sealed partial class ModelHostEndpoint
{
    public override async Task<TokenizeResponse> Tokenize(TokenizeRequest request, ServerCallContext context)
    {
        using ModelLease lease = await registry.LeaseAsync(request.Model, "model", context.CancellationToken);
        return request.ToResponse(lease.Model);
    }

    public override async Task<DetokenizeResponse> Detokenize(DetokenizeRequest request, ServerCallContext context)
    {
        using ModelLease lease = await registry.LeaseAsync(request.Model, "model", context.CancellationToken);
        return new DetokenizeResponse { Text = lease.Model.ToText(request.Ids, request.SkipSpecialTokens, "ids") };
    }
}
