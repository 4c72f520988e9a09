using Grpc.Core;
using Lab.Protos.ModelHost.V1;
using Lab.Protos.Tensor.V1;
using Lab.Tensors;

namespace Lab.ModelHost.Passes;

/// <summary>Writes what a run gave. Each write waits until the transport takes it, so a slow reader holds back the stream.</summary>
internal static class RunStream
{
    /// <summary>Writes the summary, then every tensor as frames; each tensor's memory is let go once it is written.</summary>
    public static async Task WriteAsync(
        IServerStreamWriter<RunResponse> writer, RunSummary summary, Queue<HostTensor> tensors, Encoding captureEncoding, CancellationToken ct)
    {
        await writer.WriteAsync(new RunResponse { Summary = summary }, ct);
        while (tensors.TryDequeue(out HostTensor? tensor))
        {
            Encoding encoding = tensor.Name == RunPlan.LogitsName ? Encoding.Raw : captureEncoding;
            foreach (TensorFrame frame in TensorFrames.Encode(tensor, encoding)) await writer.WriteAsync(new RunResponse { Frame = frame }, ct);
        }
    }
}
