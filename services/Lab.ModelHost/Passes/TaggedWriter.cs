using Grpc.Core;
using Lab.Protos.ModelHost.V1;

namespace Lab.ModelHost.Passes;

/// <summary>Writes one request's messages to the stream that it shares with others.</summary>
/// <param name="id">The request's ID.</param>
/// <param name="writer">The stream.</param>
/// <param name="turn">Who writes: one at a time.</param>
internal sealed class TaggedWriter(string id, IServerStreamWriter<RunManyResponse> writer, SemaphoreSlim turn) : IServerStreamWriter<RunResponse>
{
    public WriteOptions? WriteOptions { get; set; }

    /// <summary>Whether something was written.</summary>
    public bool HasBegun { get; private set; }

    public Task WriteAsync(RunResponse message) => WriteAsync(message, CancellationToken.None);

    public Task WriteAsync(RunResponse message, CancellationToken cancellationToken) => WriteAsync(
        message.ResponseCase switch
        {
            RunResponse.ResponseOneofCase.Started => new RunManyResponse { Id = id, Started = message.Started },
            RunResponse.ResponseOneofCase.Frame => new RunManyResponse { Id = id, Frame = message.Frame },
            _ => new RunManyResponse { Id = id, Summary = message.Summary },
        },
        cancellationToken);

    /// <summary>Writes why the request failed.</summary>
    public Task WriteAsync(RequestError error, CancellationToken ct) => WriteAsync(new RunManyResponse { Id = id, Error = error }, ct);

    private async Task WriteAsync(RunManyResponse message, CancellationToken ct)
    {
        await turn.WaitAsync(ct);
        try
        {
            HasBegun = true;
            await writer.WriteAsync(message, ct);
        }
        finally
        {
            turn.Release();
        }
    }
}
