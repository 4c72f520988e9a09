using Grpc.Core;

namespace Lab.ServiceDefaults.Runs;

/// <summary>Server streams from asynchronous sequences.</summary>
public static class WatchStreams
{
    /// <summary>Writes every message of <paramref name="messages"/>; a slow reader holds back the sequence.</summary>
    public static async Task WriteAllAsync<T>(this IServerStreamWriter<T> responses, IAsyncEnumerable<T> messages, CancellationToken ct)
    {
        await foreach (T message in messages.WithCancellation(ct)) await responses.WriteAsync(message, ct);
    }
}
