using Google.Protobuf;
using Grpc.Core;
using Lab.Protos.Artifact.V1;

namespace Lab.Benchmarks.Hosting;

/// <summary>
/// The bare stream: sends prepared memory chunk after chunk, as fast as gRPC takes it, until as many bytes are sent as the request's
/// path says. More memory than caches hold, as activations are.
/// </summary>
internal sealed class PreparedBuffers : ArtifactService.ArtifactServiceBase
{
    private const int ChunkBytes = 80 << 10;
    private const int Chunks = 1638;

    private static readonly ReadOnlyMemory<byte> Buffer = RandomBytes();

    public override async Task ReadArtifactFile(ReadArtifactFileRequest request, IServerStreamWriter<ReadArtifactFileResponse> responseStream, ServerCallContext context)
    {
        long left = long.Parse(request.Path, System.Globalization.CultureInfo.InvariantCulture);
        for (int chunk = 0; left > 0; chunk++)
        {
            int count = (int)Math.Min(ChunkBytes, left);
            ReadArtifactFileResponse response = new() { Data = UnsafeByteOperations.UnsafeWrap(Buffer.Slice(chunk % Chunks * ChunkBytes, count)) };
            await responseStream.WriteAsync(response, context.CancellationToken);
            left -= count;
        }
    }

    private static byte[] RandomBytes()
    {
        byte[] bytes = new byte[ChunkBytes * Chunks];
        new Random(1).NextBytes(bytes);
        return bytes;
    }
}
