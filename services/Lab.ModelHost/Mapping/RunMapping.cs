using Lab.ModelHost.Passes;
using Lab.ModelHost.Residents;
using Lab.Models.Interventions;
using Lab.Models.Interventions.Messages;
using Lab.Protos.ModelHost.V1;
using Lab.Protos.Tensor.V1;
using Lab.ServiceDefaults.Errors;
using Lab.Tensors;

namespace Lab.ModelHost.Mapping;

/// <summary>Runs and plans.</summary>
internal static class RunMapping
{
    /// <summary>What a request asks for, all but its selectors and values checked against the model.</summary>
    public static RunOrder ToOrder(this RunRequest request, ResidentModel model, string prefix = "")
    {
        if (request.Input is not null && !Enum.IsDefined(request.Input.PaddingSide)) throw new InvalidRequestException($"{prefix}input.padding_side", $"{(int)request.Input.PaddingSide} is no side.");
        LogitsSelection logits = request.Logits switch
        {
            LogitsMode.Unspecified or LogitsMode.None => LogitsSelection.None,
            LogitsMode.Last => LogitsSelection.Last,
            LogitsMode.All => LogitsSelection.All,
            _ => throw new InvalidRequestException($"{prefix}logits", $"{(int)request.Logits} is no mode."),
        };
        return new RunOrder(
            request.Input.ToBatch(model, $"{prefix}input"),
            request.Captures.ToCore($"{prefix}captures"),
            request.Interventions.ToCore($"{prefix}interventions"),
            logits,
            request.DataType.ToCaptureType(model, $"{prefix}data_type"),
            request.Budget.ToLimits($"{prefix}budget"),
            request.Priority.ToCore($"{prefix}priority"),
            prefix)
        {
            Edits = request.WeightEdits.ToCore($"{prefix}weight_edits"),
        };
    }

    /// <summary>The type that captured tensors are sent as.</summary>
    public static TensorDataType ToCaptureType(this DataType type, ResidentModel model, string field) => type switch
    {
        DataType.Unspecified or DataType.Fp32 => TensorDataType.Float32,
        DataType.Fp16 => TensorDataType.Float16,
        DataType.Bf16 => TensorDataType.BFloat16,
        DataType.Fp64 when model.Facts.Type == TensorDataType.Float64 => TensorDataType.Float64,
        _ => throw new InvalidRequestException(field, "Tensors are sent as FP32, FP16 or BF16, of FP64 models as FP64 too."),
    };

    /// <summary>How captured tensors are encoded.</summary>
    /// <exception cref="InvalidRequestException">The encoding cannot carry what the plan captures.</exception>
    public static Encoding CaptureEncoding(this RunRequest request, RunPlan plan) => request.Encoding.ToCaptureEncoding(plan);

    /// <inheritdoc cref="CaptureEncoding"/>
    public static Encoding ToCaptureEncoding(this Encoding encoding, RunPlan plan)
    {
        string field = $"{plan.Order.Prefix}encoding";
        if (encoding == Encoding.Unspecified) encoding = Encoding.Raw;
        if (!Enum.IsDefined(encoding)) throw new InvalidRequestException(field, $"{(int)encoding} is no encoding.");
        if (encoding == Encoding.Raw) return encoding;
        if (plan.Order.DataType != TensorDataType.Float32) throw new InvalidRequestException(field, $"{encoding} is for FP32 only.");
        foreach (SentTensor tensor in plan.Tensors)
        {
            if (encoding == Encoding.Int8Scaled && tensor.Name.EndsWith("hook_attn_scores", StringComparison.Ordinal))
            {
                throw new InvalidRequestException(field, $"{encoding} cannot carry the minus infinities of {tensor.Name}.");
            }

            // An element takes up to twice its bytes.
            if (encoding == Encoding.Sparse && tensor.SizeBytes > Array.MaxLength / 2 - sizeof(long))
            {
                throw new InvalidRequestException(field, $"{encoding} cannot carry the {tensor.SizeBytes} bytes of {tensor.Name}.");
            }
        }

        return encoding;
    }

    /// <summary>What is told before the tensors.</summary>
    public static RunStarted ToStarted(this RunPlan plan, ResidentModel model, RunRequest request) => new()
    {
        ModelDigest = model.Digest,
        Rows = { plan.Order.Batch.ToRows() },
        PaddingSide = request.Input.PaddingSide == PaddingSide.Left ? PaddingSide.Left : PaddingSide.Right,
        Tensors = { plan.Tensors.Select(ToMessage) },
        InterventionHashes = { request.Interventions.Select(intervention => intervention.Hash()) },
        WeightEditHashes = { request.WeightEdits.Select(edit => edit.Hash()) },
        ModelDataType = model.Facts.Type.ToProto(),
    };

    /// <summary>What is told after the tensors.</summary>
    public static RunSummary ToSummary(this PassResult result) => new()
    {
        FireCounts = { result.FireCounts },
        WeightEditFireCounts = { result.EditFireCounts },
        QueueMs = result.QueueTime.TotalMilliseconds,
        ComputeMs = result.ComputeTime.TotalMilliseconds,
        BatchedRequests = result.Requests,
        BatchedRows = result.Rows,
    };

    public static PlanResponse ToResponse(this RunPlan plan, ResidentModel model, IEnumerable<string> unmatched)
    {
        TokenBatch batch = plan.Order.Batch;
        int rows = plan.Forward.NeedsTwin ? 2 * batch.Count : batch.Count;
        return new PlanResponse
        {
            Tensors = { plan.Tensors.Select(ToMessage) },
            TotalBytes = plan.TotalBytes,
            Flops = PassCost.Flops(model.Config, rows, batch.Length),
            Unmatched = { unmatched },
            PeakBytes = (long)Int128.Min(
                (Int128)plan.TotalBytes + PassCost.WorkingBytes(model.Config, rows, batch.Length, PassCost.HasScores(model.Config, plan.Forward)), long.MaxValue),
            Rows = { batch.ToRows() },
            Queue = model.Scheduler.State.ToMessage(),
        };
    }

    /// <summary>A tensor of a run with its padding where the request wants it.</summary>
    /// <param name="tensor">As the pass gave it.</param>
    /// <param name="started">What the reply began with.</param>
    /// <param name="plan">What is sent.</param>
    /// <param name="index">The tensor's number in it.</param>
    public static HostTensor PaddedAs(this HostTensor tensor, RunStarted started, RunPlan plan, int index) =>
        started.PaddingSide == PaddingSide.Left && plan.LayoutOf(index) is { } layout ? layout.PadLeft(tensor) : tensor;

    private static PlannedTensor ToMessage(SentTensor tensor)
    {
        PlannedTensor message = new() { Name = tensor.Name, Shape = { tensor.Shape }, SizeBytes = tensor.SizeBytes };
        if (tensor.IsCapture) message.Capture = tensor.Selection!.Index;
        if (tensor.Selection is { NamesPositions: true } selection)
            message.Positions.Add(selection.Positions.Select(row => new RowPositions { Row = row.Row, Positions = { row.Positions } }));
        return message;
    }
}
