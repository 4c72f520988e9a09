using Grpc.Core;
using Lab.ModelHost.Mapping;
using Lab.ModelHost.Passes;
using Lab.ModelHost.Residents;
using Lab.Protos.ModelHost.V1;
using Lab.ServiceDefaults.Errors;

namespace Lab.ModelHost;

/// <summary>Runs and plans.</summary>
internal sealed partial class ModelHostEndpoint
{
    public override async Task<PlanResponse> Plan(PlanRequest request, ServerCallContext context)
    {
        RunRequest run = request.Run ?? throw new InvalidRequestException("run", "A run is required.");
        using ModelLease lease = await registry.LeaseAsync(run.Model, "run.model", context.CancellationToken);
        List<string> unmatched = [];
        RunPlan plan = RunPlan.Of(lease.Model.Hooks, lease.Model.Config, run.ToOrder(lease.Model, "run."), unmatched, parameters: lease.Model.Parameters);
        return plan.ToResponse(lease.Model, unmatched);
    }

    public override Task Run(RunRequest request, IServerStreamWriter<RunResponse> responseStream, ServerCallContext context) =>
        runs.RunAsync(request, responseStream, context.CancellationToken);

    public override Task RunMany(IAsyncStreamReader<RunManyRequest> requestStream, IServerStreamWriter<RunManyResponse> responseStream, ServerCallContext context) =>
        manyRuns.RunAsync(requestStream, responseStream, context.CancellationToken);
}
