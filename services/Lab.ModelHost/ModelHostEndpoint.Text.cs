using Grpc.Core;
using Lab.ModelHost.Mapping;
using Lab.ModelHost.Residents;
using Lab.Models.Tokenizers;
using Lab.Protos.ModelHost.V1;

namespace Lab.ModelHost;

/// <summary>Text to tokens and back.</summary>
internal sealed partial class ModelHostEndpoint
{
    public override async Task<TokenizeResponse> Tokenize(TokenizeRequest request, ServerCallContext context)
    {
        Unsupported.Require(request.Chats is null, "chats");
        Unsupported.Require(request.Bos is Protos.ModelHost.V1.BosPolicy.Unspecified or Protos.ModelHost.V1.BosPolicy.Never, "bos");
        Unsupported.Require(request.Chars.Count == 0, "chars");
        using ModelLease lease = await registry.LeaseAsync(request.Model, "model", context.CancellationToken);
        ITokenizer tokenizer = lease.Model.TokenizerOf();
        int[] ids = tokenizer.Encode(request.Text, new EncodeOptions { Bos = Models.Tokenizers.BosPolicy.Never }).Ids;
        return new TokenizeResponse { Ids = { ids }, Tokens = { ids.Select(tokenizer.TokenText) } };
    }

    public override async Task<DetokenizeResponse> Detokenize(DetokenizeRequest request, ServerCallContext context)
    {
        Unsupported.Require(!request.SkipSpecialTokens, "skip_special_tokens");
        using ModelLease lease = await registry.LeaseAsync(request.Model, "model", context.CancellationToken);
        return new DetokenizeResponse { Text = lease.Model.ToText(request.Ids, "ids") };
    }
}
