using Google.Protobuf;
using Grpc.Core;
using Lab.Protos.Artifact.V1;

namespace Lab.Benchmarks.Hosting;

/// <summary>The bare stream: sends a prepared buffer again and again, as fast as gRPC takes it, until as many bytes are sent as the request's path says.</summary>
internal sealed class PreparedBuffers : ArtifactService.ArtifactServiceBase
{
    private const int ChunkBytes = 512 << 10;

    private static readonly ReadOnlyMemory<byte> Buffer = RandomBytes();

    public override async Task ReadArtifactFile(ReadArtifactFileRequest request, IServerStreamWriter<ReadArtifactFileResponse> responseStream, ServerCallContext context)
    {
        long left = long.Parse(request.Path, System.Globalization.CultureInfo.InvariantCulture);
        while (left > 0)
        {
            int count = (int)Math.Min(ChunkBytes, left);
            ReadArtifactFileResponse response = new() { Data = UnsafeByteOperations.UnsafeWrap(Buffer[..count]) };
            await responseStream.WriteAsync(response, context.CancellationToken);
            left -= count;
        }
    }

    private static byte[] RandomBytes()
    {
        byte[] bytes = new byte[ChunkBytes];
        new Random(1).NextBytes(bytes);
        return bytes;
    }
}
