using Grpc.Core;
using Lab.ModelHost.Mapping;
using Lab.ModelHost.Residents;
using Lab.Protos.ModelHost.V1;
using Lab.Protos.Tensor.V1;
using Lab.Tensors;

namespace Lab.ModelHost.Generation;

/// <summary>Writes what a generation gives, while it goes on. Each write waits until the transport takes it, so a slow reader holds back its stream only.</summary>
internal static class GenerationStream
{
    /// <summary>Writes what was started, each pass's captures and its token, and how it ended.</summary>
    public static async Task WriteAsync(
        IServerStreamWriter<GenerateResponse> writer, ActiveGeneration generation, GenerateStarted started, ResidentModel model, Encoding encoding, CancellationToken ct)
    {
        await generation.BeginAsync();
        await writer.WriteAsync(new GenerateResponse { Started = started }, ct);
        await foreach (GenerationEvent given in generation.ReadAsync(ct))
        {
            if (given.Token is { } token) await writer.WriteAsync(new GenerateResponse { Token = token.ToMessage(model) }, ct);
            if (given.Tensor is not { } tensor) continue;
            foreach (TensorFrame frame in TensorFrames.Encode(tensor, encoding))
            {
                StepFrame part = new() { Frame = frame };
                if (given.Step is { } step) part.Step = step;
                await writer.WriteAsync(new GenerateResponse { Frame = part }, ct);
            }
        }

        await writer.WriteAsync(new GenerateResponse { Finished = (await generation.EndAsync()).ToMessage() }, ct);
    }
}
