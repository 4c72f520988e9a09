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
        Unsupported.Require(request.Chats is null, "chats");
        Unsupported.Require(request.Bos is BosPolicy.Unspecified or BosPolicy.Never, "bos");
        Unsupported.Require(request.Chars.Count == 0, "chars");
        using ModelLease lease = await registry.LeaseAsync(request.Model, "model", context.CancellationToken);
        int[] ids = lease.Model.Tokenizer.Encode(request.Text);
        return new TokenizeResponse { Ids = { ids }, Tokens = { ids.Select(lease.Model.Tokenizer.TokenText) } };
    }

    public override async Task<DetokenizeResponse> Detokenize(DetokenizeRequest request, ServerCallContext context)
    {
        Unsupported.Require(!request.SkipSpecialTokens, "skip_special_tokens");
        using ModelLease lease = await registry.LeaseAsync(request.Model, "model", context.CancellationToken);
        return new DetokenizeResponse { Text = lease.Model.ToText(request.Ids, "ids") };
    }
}
