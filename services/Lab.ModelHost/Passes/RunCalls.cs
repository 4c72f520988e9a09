using Grpc.Core;
using Lab.ModelHost.Mapping;
using Lab.ModelHost.Residents;
using Lab.Protos.ModelHost.V1;
using Lab.Protos.Tensor.V1;

namespace Lab.ModelHost.Passes;

/// <summary>Runs, from the request to the last message.</summary>
internal sealed class RunCalls(ModelRegistry registry, RunLimits limits, PassRunner runner)
{
    /// <summary>Runs one batch, and sends what it gives while it runs.</summary>
    public async Task RunAsync(RunRequest request, IServerStreamWriter<RunResponse> writer, CancellationToken ct)
    {
        using ModelLease lease = await registry.LeaseAsync(request.Model, "model", ct);
        ResidentModel model = lease.Model;
        RunPlan plan = RunPlan.Of(model.Hooks, model.Config, request.ToOrder(model), parameters: model.Parameters);
        Encoding encoding = request.CaptureEncoding(plan);
        using IDisposable memory = limits.Admit(model, plan);
        await using ActivePass<PassResult> pass = runner.Start(lease, plan, ct);
        await RunStream.WriteAsync(writer, pass, plan, plan.ToStarted(model, request), encoding, ct);
    }
}
