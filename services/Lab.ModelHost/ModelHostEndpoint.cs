using Grpc.Core;
using Lab.ModelHost.Generation;
using Lab.ModelHost.Gradients;
using Lab.ModelHost.Mapping;
using Lab.ModelHost.Passes;
using Lab.ModelHost.Residents;
using Lab.ModelHost.Statistics;
using Lab.Protos.ModelHost.V1;
using Lab.ServiceDefaults;

namespace Lab.ModelHost;

/// <summary>The service's calls: one file for each kind, models and what they have here.</summary>
internal sealed partial class ModelHostEndpoint(ModelRegistry registry, RunLimits limits, PassRunner runner, TextGenerator generator, StatisticsCalls statistics, GradientCalls gradients)
    : ModelHostService.ModelHostServiceBase
{
    public override async Task<Model> GetModel(GetModelRequest request, ServerCallContext context) =>
        (await registry.GetAsync(request.Name, context.CancellationToken)).ToMessage();

    public override async Task<ListModelsResponse> ListModels(ListModelsRequest request, ServerCallContext context)
    {
        (IReadOnlyList<ResidentModel> page, string next) = Pages.Take(
            "models", await registry.ListAsync(context.CancellationToken), model => model.Name, request.PageSize, request.PageToken);
        return new ListModelsResponse { Models = { page.Select(model => model.ToMessage()) }, NextPageToken = next };
    }

    public override async Task<Model> LoadModel(LoadModelRequest request, ServerCallContext context)
    {
        Unsupported.Require(request.Folder.Length == 0, "folder");
        Unsupported.Require(request.DataType is Protos.Tensor.V1.DataType.Unspecified or Protos.Tensor.V1.DataType.Fp32, "data_type");
        return (await registry.LoadAsync(request.Name, context.CancellationToken)).ToMessage();
    }

    public override async Task<UnloadModelResponse> UnloadModel(UnloadModelRequest request, ServerCallContext context)
    {
        await registry.UnloadAsync(request.Name, context.CancellationToken);
        return new UnloadModelResponse();
    }

    public override async Task<ListHooksResponse> ListHooks(ListHooksRequest request, ServerCallContext context)
    {
        using ModelLease lease = await registry.LeaseAsync(request.Model, "model", context.CancellationToken);
        return new ListHooksResponse { Hooks = { lease.Model.Hooks.All.Select(hook => hook.ToMessage()) } };
    }
}
