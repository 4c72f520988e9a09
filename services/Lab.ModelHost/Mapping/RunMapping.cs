using Google.Protobuf.Collections;
using Lab.ModelHost.Passes;
using Lab.ModelHost.Residents;
using Lab.Models.Interventions;
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
        if (request.MaxBytes < 0) throw new InvalidRequestException($"{prefix}max_bytes", "It must not be negative.");
        LogitsSelection logits = request.Logits switch
        {
            LogitsMode.Unspecified or LogitsMode.None => LogitsSelection.None,
            LogitsMode.Last => LogitsSelection.Last,
            LogitsMode.All => LogitsSelection.All,
            _ => throw new InvalidRequestException($"{prefix}logits", $"{(int)request.Logits} is no mode."),
        };
        TensorDataType type = request.DataType switch
        {
            DataType.Unspecified or DataType.Fp32 => TensorDataType.Float32,
            DataType.Fp16 => TensorDataType.Float16,
            DataType.Bf16 => TensorDataType.BFloat16,
            _ => throw new InvalidRequestException($"{prefix}data_type", "Captured tensors are sent as FP32, FP16 or BF16."),
        };
        return new RunOrder(
            request.Input.ToBatch(model, $"{prefix}input"),
            request.Captures.ToCore($"{prefix}captures"),
            request.Interventions.ToCore($"{prefix}interventions"),
            logits,
            type,
            request.MaxBytes,
            prefix);
    }

    /// <summary>How captured tensors are encoded.</summary>
    /// <exception cref="InvalidRequestException">The encoding cannot carry what the plan captures.</exception>
    public static Encoding CaptureEncoding(this RunRequest request, RunPlan plan)
    {
        Encoding encoding = request.Encoding == Encoding.Unspecified ? Encoding.Raw : request.Encoding;
        if (!Enum.IsDefined(encoding)) throw new InvalidRequestException("encoding", $"{(int)encoding} is no encoding.");
        if (encoding == Encoding.Raw) return encoding;
        if (plan.Order.DataType != TensorDataType.Float32) throw new InvalidRequestException("encoding", $"{encoding} is for FP32 only.");
        foreach (SentTensor tensor in plan.Tensors)
        {
            if (encoding == Encoding.Int8Scaled && tensor.Name.EndsWith("hook_attn_scores", StringComparison.Ordinal))
            {
                throw new InvalidRequestException("encoding", $"{encoding} cannot carry the minus infinities of {tensor.Name}.");
            }

            // An element takes up to twice its bytes.
            if (encoding == Encoding.Sparse && tensor.SizeBytes > Array.MaxLength / 2 - sizeof(long))
            {
                throw new InvalidRequestException("encoding", $"{encoding} cannot carry the {tensor.SizeBytes} bytes of {tensor.Name}.");
            }
        }

        return encoding;
    }

    public static RunSummary ToSummary(this PassResult result, ResidentModel model, RunOrder order, RepeatedField<Protos.ModelHost.V1.Intervention> interventions) => new()
    {
        ModelDigest = model.Digest,
        Tokens = { order.Batch.Rows.Select(ids => new TokenRow { Ids = { ids } }) },
        TensorCount = result.Tensors.Count,
        FireCounts = { result.FireCounts },
        InterventionHashes = { interventions.Select(intervention => intervention.Hash()) },
        QueueMs = result.QueueTime.TotalMilliseconds,
        ComputeMs = result.ComputeTime.TotalMilliseconds,
    };

    public static PlanResponse ToResponse(this RunPlan plan, ResidentModel model, IEnumerable<string> unmatched)
    {
        TokenBatch batch = plan.Order.Batch;
        return new PlanResponse
        {
            Tensors = { plan.Tensors.Select(tensor => new PlannedTensor { Name = tensor.Name, Shape = { tensor.Shape }, SizeBytes = tensor.SizeBytes }) },
            TotalBytes = plan.TotalBytes,
            Flops = PassCost.Flops(model.Config, batch.Count, batch.Length),
            Unmatched = { unmatched },
        };
    }
}
