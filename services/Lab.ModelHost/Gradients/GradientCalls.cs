using Grpc.Core;
using Lab.ModelHost.Mapping;
using Lab.ModelHost.Passes;
using Lab.ModelHost.Residents;
using Lab.Models.Gradients;
using Lab.Protos.ModelHost.V1;
using Lab.Protos.Tensor.V1;
using Lab.ServiceDefaults.Errors;
using Lab.Tensors;
using Microsoft.Extensions.Options;

namespace Lab.ModelHost.Gradients;

/// <summary>Gradients, from the request to the last message.</summary>
internal sealed class GradientCalls(RunLimits limits, PassRunner runner, IOptions<ModelHostOptions> options)
{
    /// <summary>Differentiates, and sends captures, gradients and objectives.</summary>
    public async Task RunAsync(GradientsRequest request, ModelLease lease, IServerStreamWriter<GradientsResponse> writer, CancellationToken ct)
    {
        ResidentModel model = lease.Model;
        RunRequest run = request.ToRun();
        RunPlan forward = RunPlan.Of(model.Hooks, model.Config, run.ToOrder(model), parameters: model.Parameters);
        GradientPlan gradients = GradientPlan.Resolve(
            model.Hooks, model.Config, model.Facts.Parameters.ToDictionary(parameter => parameter.Name, parameter => parameter.Shape), forward.Forward, request.Objective.ToCore(), request.Targets.ToCore());
        RunPlan plan = new(forward.Forward, forward.Order, [.. forward.Tensors, .. gradients.Gradients.Select(gradient => forward.Sent(gradient.Name, gradient.Shape) with { Selection = gradient.Selection })]);
        Encoding encoding = run.CaptureEncoding(plan);
        RequireMemory(GradientCost.Bytes(model.Config, gradients, model.Facts.Type.Size()));
        using IDisposable memory = limits.Admit(model, plan);

        await using ActivePass<ExclusiveResult<GradientResult>> pass = runner.Start(
            lease, GradientCost.Shape(gradients), plan.Order, (send, token) => GradientPass.Run(model.Transformer, gradients, plan.Order.DataType, send, token), ct);
        await pass.BeginAsync();
        RunStarted started = plan.ToStarted(model, run);
        for (int i = 0; i < gradients.Gradients.Count; i++) started.Tensors[forward.Tensors.Count + i].Target = gradients.Gradients[i].Target;
        await writer.WriteAsync(new GradientsResponse { Started = started }, ct);
        int index = 0;
        await foreach (HostTensor tensor in pass.ReadTensorsAsync(ct))
        {
            foreach (TensorFrame frame in TensorFrames.Encode(tensor.PaddedAs(started, plan, index++), encoding)) await writer.WriteAsync(new GradientsResponse { Frame = frame }, ct);
        }

        ExclusiveResult<GradientResult> ended = await pass.EndAsync();
        GradientResult result = ended.Value;
        PassRunner.RequireFired(plan.Order.Interventions, result.FireCounts);
        PassRunner.RequireFired(plan.Order.Edits, result.EditFireCounts);
        await writer.WriteAsync(
            new GradientsResponse
            {
                Summary = new GradientsSummary
                {
                    Objectives = { result.Objectives },
                    ZeroTensors = { result.ZeroGradients.Select(gradient => forward.Tensors.Count + gradient) },
                    Run = ended.ToPass(result.FireCounts, result.EditFireCounts).ToSummary(),
                },
            },
            ct);
    }

    private void RequireMemory(long bytes)
    {
        if (bytes > options.Value.MaxGraphBytes)
        {
            throw new ResourceExhaustedException(
                "GRAPH_TOO_LARGE",
                $"What the backward pass needs would have some {bytes} bytes; the most is {options.Value.MaxGraphBytes}. Send fewer or shorter rows at a time, or differentiate by later layers only.");
        }
    }
}
