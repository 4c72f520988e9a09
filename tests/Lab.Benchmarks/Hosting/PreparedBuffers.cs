using System.Globalization;
using Google.Protobuf;
using Grpc.Core;
using Lab.Protos.Artifact.V1;

namespace Lab.Benchmarks.Hosting;

/// <summary>
/// The bare stream: sends prepared memory chunk after chunk, as fast as gRPC takes it; the request's path says how many bytes in chunks
/// of what size: "872415232/81920". More memory than caches hold, as activations are.
/// </summary>
internal sealed class PreparedBuffers : ArtifactService.ArtifactServiceBase
{
    private const int BufferBytes = 128 << 20;

    private static readonly ReadOnlyMemory<byte> Buffer = RandomBytes();

    public override async Task ReadArtifactFile(ReadArtifactFileRequest request, IServerStreamWriter<ReadArtifactFileResponse> responseStream, ServerCallContext context)
    {
        string[] sizes = request.Path.Split('/');
        long left = long.Parse(sizes[0], CultureInfo.InvariantCulture);
        int chunkBytes = int.Parse(sizes[1], CultureInfo.InvariantCulture);
        for (int from = 0; left > 0; from = from + (2 * chunkBytes) <= BufferBytes ? from + chunkBytes : 0)
        {
            int count = (int)Math.Min(chunkBytes, left);
            ReadArtifactFileResponse response = new() { Data = UnsafeByteOperations.UnsafeWrap(Buffer.Slice(from, count)) };
            await responseStream.WriteAsync(response, context.CancellationToken);
            left -= count;
        }
    }

    private static byte[] RandomBytes()
    {
        byte[] bytes = new byte[BufferBytes];
        new Random(1).NextBytes(bytes);
        return bytes;
    }
}
