using Grpc.Core;
using Lab.ModelHost.Mapping;
using Lab.ModelHost.Passes;
using Lab.ModelHost.Residents;
using Lab.Protos.ModelHost.V1;
using Lab.Protos.Tensor.V1;

namespace Lab.ModelHost.Generation;

/// <summary>Generations, from the request to the last message.</summary>
internal sealed class GenerationCalls(ModelRegistry registry, RunLimits limits, TimeProvider time)
{
    /// <summary>Continues a prompt, and sends what comes while it goes on.</summary>
    public async Task GenerateAsync(GenerateRequest request, IServerStreamWriter<GenerateResponse> writer, CancellationToken ct)
    {
        using ModelLease lease = await registry.LeaseAsync(request.Model, "model", ct);
        ResidentModel model = lease.Model;
        GenerationPlan plan = GenerationPlan.Of(model, request.ToOrder(model));
        Encoding encoding = request.Encoding.ToCaptureEncoding(plan.Prefill);
        using IDisposable memory = limits.Admit(model, plan, out IDisposable cache);
        await using ActiveGeneration generation = new(lease, plan, cache, time, ct);
        await GenerationStream.WriteAsync(writer, generation, plan.ToStarted(model, request), model, encoding, ct);
    }
}
