using System.Reflection;
using Grpc.Core;
using Lab.ModelHost.Passes;
using Lab.ModelHost.Residents;
using Lab.Protos.Inference.V2;
using Lab.Tensors;

namespace Lab.ModelHost.OpenInference;

/// <summary>The Open Inference Protocol: the resident models for clients that know no hooks but the names of outputs.</summary>
internal sealed class OpenInferenceEndpoint(ModelRegistry registry, RunLimits limits, PassRunner runner) : GRPCInferenceService.GRPCInferenceServiceBase
{
    private static readonly string Version = typeof(OpenInferenceEndpoint).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "";

    public override Task<ServerLiveResponse> ServerLive(ServerLiveRequest request, ServerCallContext context) => Task.FromResult(new ServerLiveResponse { Live = true });

    public override Task<ServerReadyResponse> ServerReady(ServerReadyRequest request, ServerCallContext context) => Task.FromResult(new ServerReadyResponse { Ready = true });

    public override Task<ServerMetadataResponse> ServerMetadata(ServerMetadataRequest request, ServerCallContext context) =>
        Task.FromResult(new ServerMetadataResponse { Name = InferMetadata.Platform, Version = Version });

    public override Task<ModelReadyResponse> ModelReady(ModelReadyRequest request, ServerCallContext context) => Task.FromResult(new ModelReadyResponse
    {
        Ready = registry.Known().Any(known =>
            known.Model is { } model && known.State == Residency.Resident && model.Name == request.Name && InferMetadata.IsVersion(model, request.Version)),
    });

    public override async Task<ModelMetadataResponse> ModelMetadata(ModelMetadataRequest request, ServerCallContext context)
    {
        using ModelLease lease = await registry.LeaseAsync(request.Name, "name", context.CancellationToken);
        InferMetadata.RequireVersion(lease.Model, request.Version);
        return InferMetadata.Of(lease.Model);
    }

    public override async Task<ModelInferResponse> ModelInfer(ModelInferRequest request, ServerCallContext context)
    {
        using ModelLease lease = await registry.LeaseAsync(request.ModelName, "model_name", context.CancellationToken);
        ResidentModel model = lease.Model;
        InferMetadata.RequireVersion(model, request.ModelVersion);
        InferOrder order = InferOrder.Of(request, model);
        RunPlan plan = RunPlan.Of(model.Hooks, model.Config, order.Run);
        long bytes = order.ResponseBytes(plan);
        limits.RequireBytes(bytes);
        // The response is there until its reader has taken it, long after this method.
        HttpResponse reply = context.GetHttpContext().Response;
        reply.RegisterForDispose(limits.Admit(model, plan));
        reply.RegisterForDispose(limits.Hold(bytes, model));
        await using ActivePass<PassResult> pass = runner.Start(lease, plan, context.CancellationToken);
        List<HostTensor> tensors = [];
        await foreach (HostTensor tensor in pass.ReadTensorsAsync(context.CancellationToken)) tensors.Add(tensor);
        _ = await pass.EndAsync();
        return order.ToResponse(request, model.Digest, tensors);
    }
}
