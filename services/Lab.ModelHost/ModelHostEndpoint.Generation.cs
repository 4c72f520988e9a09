using Grpc.Core;
using Lab.Protos.ModelHost.V1;

namespace Lab.ModelHost;

/// <summary>Generation.</summary>
internal sealed partial class ModelHostEndpoint
{
    public override Task Generate(GenerateRequest request, IServerStreamWriter<GenerateResponse> responseStream, ServerCallContext context) =>
        generations.GenerateAsync(request, responseStream, context.CancellationToken);
}
