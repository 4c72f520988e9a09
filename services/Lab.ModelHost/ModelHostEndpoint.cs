using Grpc.Core;
using Lab.ModelHost.Generation;
using Lab.ModelHost.Mapping;
using Lab.ModelHost.Passes;
using Lab.ModelHost.Residents;
using Lab.Protos.ModelHost.V1;
using Lab.Protos.Tensor.V1;
using Lab.ServiceDefaults;
using Lab.ServiceDefaults.Errors;

namespace Lab.ModelHost;

/// <summary>The service's calls.</summary>
internal sealed class ModelHostEndpoint(ModelRegistry registry, RunLimits limits, PassRunner runner, TextGenerator generator)
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

    public override async Task<Model> LoadModel(LoadModelRequest request, ServerCallContext context) =>
        (await registry.LoadAsync(request.Name, context.CancellationToken)).ToMessage();

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

    public override async Task<PlanResponse> Plan(PlanRequest request, ServerCallContext context)
    {
        RunRequest run = request.Run ?? throw new InvalidRequestException("run", "A run is required.");
        using ModelLease lease = await registry.LeaseAsync(run.Model, "run.model", context.CancellationToken);
        List<string> unmatched = [];
        RunPlan plan = RunPlan.Of(lease.Model.Hooks, lease.Model.Config, run.ToOrder(lease.Model, "run."), unmatched);
        return plan.ToResponse(lease.Model, unmatched);
    }

    public override async Task Run(RunRequest request, IServerStreamWriter<RunResponse> responseStream, ServerCallContext context)
    {
        using ModelLease lease = await registry.LeaseAsync(request.Model, "model", context.CancellationToken);
        ResidentModel model = lease.Model;
        RunPlan plan = RunPlan.Of(model.Hooks, model.Config, request.ToOrder(model));
        Encoding encoding = request.CaptureEncoding(plan);
        using IDisposable memory = limits.Admit(model.Config, plan);
        PassResult result = await runner.RunAsync(model, plan, context.CancellationToken);
        PassRunner.RequireFired(plan.Order.Interventions, result.FireCounts);
        // The pass is over: a slow reader must not keep the model.
        lease.Dispose();
        RunSummary summary = result.ToSummary(model, plan.Order, request.Interventions);
        await RunStream.WriteAsync(responseStream, summary, result.Tensors, encoding, context.CancellationToken);
    }

    public override async Task Generate(GenerateRequest request, IServerStreamWriter<GenerateResponse> responseStream, ServerCallContext context)
    {
        using ModelLease lease = await registry.LeaseAsync(request.Model, "model", context.CancellationToken);
        GenerationOrder order = request.ToOrder(lease.Model);
        await foreach (GeneratedToken token in generator.GenerateAsync(lease.Model, order, context.CancellationToken))
        {
            await responseStream.WriteAsync(token.ToResponse(lease.Model), context.CancellationToken);
        }
    }

    public override async Task<TokenizeResponse> Tokenize(TokenizeRequest request, ServerCallContext context)
    {
        using ModelLease lease = await registry.LeaseAsync(request.Model, "model", context.CancellationToken);
        int[] ids = lease.Model.Tokenizer.Encode(request.Text);
        return new TokenizeResponse { Ids = { ids }, Tokens = { ids.Select(lease.Model.Tokenizer.TokenText) } };
    }

    public override async Task<DetokenizeResponse> Detokenize(DetokenizeRequest request, ServerCallContext context)
    {
        using ModelLease lease = await registry.LeaseAsync(request.Model, "model", context.CancellationToken);
        return new DetokenizeResponse { Text = lease.Model.ToText(request.Ids, "ids") };
    }
}
