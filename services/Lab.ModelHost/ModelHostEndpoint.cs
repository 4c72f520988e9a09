using Grpc.Core;
using Lab.ModelHost.Diffs;
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
internal sealed partial class ModelHostEndpoint(
    ModelRegistry registry, RunCalls runs, RunManyCalls manyRuns, GenerationCalls generations, StatisticsCalls statistics, GradientCalls gradients, DiffCalls diffs)
    : ModelHostService.ModelHostServiceBase
{
    public override async Task<Model> GetModel(GetModelRequest request, ServerCallContext context) =>
        (await registry.GetAsync(request.Name, context.CancellationToken)).ToMessage();

    public override async Task<ListModelsResponse> ListModels(ListModelsRequest request, ServerCallContext context)
    {
        (IReadOnlyList<ModelStatus> page, string next) = Pages.Take(
            request.ShowAll ? "models/all" : "models",
            request.ShowAll ? registry.Known() : await registry.ListAsync(context.CancellationToken),
            model => model.Source.Name,
            request.PageSize,
            request.PageToken);
        return new ListModelsResponse { Models = { page.Select(model => model.ToMessage()) }, NextPageToken = next };
    }

    public override async Task<Model> LoadModel(LoadModelRequest request, ServerCallContext context) =>
        (await registry.LoadAsync(request.ToOrder(), context.CancellationToken)).ToMessage();

    public override async Task<Model> PinModel(PinModelRequest request, ServerCallContext context) =>
        (await registry.PinAsync(request.Name, true, context.CancellationToken)).ToMessage();

    public override async Task<Model> UnpinModel(UnpinModelRequest request, ServerCallContext context) =>
        (await registry.PinAsync(request.Name, false, context.CancellationToken)).ToMessage();

    public override async Task WatchModels(WatchModelsRequest request, IServerStreamWriter<WatchModelsResponse> responseStream, ServerCallContext context)
    {
        IAsyncEnumerable<ModelStatus> statuses = registry.WatchAsync(context.CancellationToken);
        // The watch is on: who waits for the headers misses nothing.
        await context.WriteResponseHeadersAsync([]);
        await foreach (ModelStatus status in statuses)
        {
            if (request.Name.Length == 0 || status.Source.Name == request.Name)
                await responseStream.WriteAsync(new WatchModelsResponse { Model = status.ToMessage() }, context.CancellationToken);
        }
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

    public override async Task<ListParametersResponse> ListParameters(ListParametersRequest request, ServerCallContext context)
    {
        using ModelLease lease = await registry.LeaseAsync(request.Model, "model", context.CancellationToken);
        (IReadOnlyList<ParameterFacts> page, string next) = Pages.Take(
            $"parameters/{lease.Model.Digest}", lease.Model.Facts.Parameters, parameter => parameter.Name, request.PageSize, request.PageToken);
        return new ListParametersResponse { Parameters = { page.Select(parameter => parameter.ToMessage(lease.Model.Facts.Type)) }, NextPageToken = next };
    }
}
