using Grpc.Core;
using Lab.ModelHost.Mapping;
using Lab.ModelHost.Passes;
using Lab.ModelHost.Residents;
using Lab.ModelHost.Scheduling;
using Lab.Models.Diffs;
using Lab.Models.Interventions;
using Lab.Protos.ModelHost.V1;
using Lab.Protos.Tensor.V1;
using Lab.ServiceDefaults.Errors;
using Lab.Tensors;

namespace Lab.ModelHost.Diffs;

/// <summary>Comparisons of a clean and a changed run, from the request to the last message.</summary>
internal sealed class DiffCalls(RunLimits limits, PassRunner runner)
{
    /// <summary>Compares, and sends how the two runs differ.</summary>
    public async Task RunAsync(DiffRequest request, ModelLease lease, IServerStreamWriter<DiffResponse> writer, CancellationToken ct)
    {
        ResidentModel model = lease.Model;
        RunRequest run = request.Run;
        if (run.Interventions.Count + run.WeightEdits.Count == 0) throw new InvalidRequestException("run.interventions", "An intervention or a weight edit is required: without, there is nothing to compare.");
        RunPlan order = RunPlan.Of(model.Hooks, model.Config, run.ToOrder(model, "run."), parameters: model.Parameters);
        DiffPlan diff = new(order.Forward, request.ToOptions(order.Order.Logits), order.Order.DataType);
        RunPlan plan = new(order.Forward, order.Order, [.. diff.Tensors(model.Config).Select(tensor => ToSent(tensor, order.Forward))]);
        Encoding encoding = run.CaptureEncoding(plan);
        using IDisposable memory = limits.Admit(model, plan, isTwice: true);

        PassShape shape = new(PassKind.Run, 2 * plan.Order.Batch.Count, plan.Order.Batch.Length);
        await using ActivePass<ExclusiveResult<DiffResult>> pass = runner.Start(lease, shape, plan.Order, (send, token) => DiffPass.Run(model.Transformer, diff, send, token), ct);
        await pass.BeginAsync();
        RunStarted started = plan.ToStarted(model, run);
        await writer.WriteAsync(new DiffResponse { Started = started }, ct);
        int index = 0;
        await foreach (HostTensor tensor in pass.ReadTensorsAsync(ct))
        {
            Encoding own = plan.Tensors[index] is { IsCapture: true, Name: var name } && name.StartsWith("delta/", StringComparison.Ordinal) ? encoding : Encoding.Raw;
            foreach (TensorFrame frame in TensorFrames.Encode(tensor.PaddedAs(started, plan, index), own)) await writer.WriteAsync(new DiffResponse { Frame = frame }, ct);
            index++;
        }

        ExclusiveResult<DiffResult> ended = await pass.EndAsync();
        DiffResult result = ended.Value;
        PassRunner.RequireFired(plan.Order.Interventions, result.FireCounts);
        PassRunner.RequireFired(plan.Order.Edits, result.EditFireCounts);
        await writer.WriteAsync(
            new DiffResponse
            {
                Summary = new DiffSummary
                {
                    Run = ended.ToPass(result.FireCounts, result.EditFireCounts).ToSummary(),
                    MeanKl = { result.Divergences },
                    Top1Agreement = { result.Agreements },
                },
            },
            ct);
    }

    private static SentTensor ToSent(PlannedDelta tensor, ForwardPlan forward) => new(tensor.Name, tensor.Shape, SentTensor.Bytes(tensor.Shape, tensor.DataType))
    {
        Selection = tensor.Capture is { } capture ? forward.Captures[capture] : null,
        IsCapture = tensor.Capture is not null,
    };
}
