using Grpc.Core;
using Lab.ModelHost.Mapping;
using Lab.Protos.ModelHost.V1;
using Lab.Protos.Tensor.V1;
using Lab.Tensors;

namespace Lab.ModelHost.Passes;

/// <summary>Writes what a run gives, while it runs. Each write waits until the transport takes it, so a slow reader holds back the stream.</summary>
internal static class RunStream
{
    /// <summary>Writes what was started, every tensor as frames, and the summary; each tensor's memory is let go once it is written.</summary>
    public static async Task WriteAsync(
        IServerStreamWriter<RunResponse> writer, ActivePass<PassResult> pass, RunPlan plan, RunStarted started, Encoding captureEncoding, CancellationToken ct)
    {
        await pass.BeginAsync();
        await writer.WriteAsync(new RunResponse { Started = started }, ct);
        int index = 0;
        await foreach (HostTensor captured in pass.ReadTensorsAsync(ct))
        {
            HostTensor tensor = captured.PaddedAs(started, plan, index++);
            Encoding encoding = tensor.Name == RunPlan.LogitsName ? Encoding.Raw : captureEncoding;
            foreach (TensorFrame frame in TensorFrames.Encode(tensor, encoding)) await writer.WriteAsync(new RunResponse { Frame = frame }, ct);
            // A write ends when the message has been copied to the connection: nobody reads the tensor any more.
            HostBufferPool.Shared.Return(captured);
        }

        await writer.WriteAsync(new RunResponse { Summary = (await pass.EndAsync()).ToSummary() }, ct);
    }
}
