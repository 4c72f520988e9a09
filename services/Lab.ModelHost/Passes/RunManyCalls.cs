using Google.Rpc;
using Grpc.Core;
using Lab.ModelHost.Mapping;
using Lab.ModelHost.Sources;
using Lab.Protos.ModelHost.V1;
using Lab.ServiceDefaults.Errors;
using Microsoft.Extensions.Options;
using Status = Google.Rpc.Status;

namespace Lab.ModelHost.Passes;

/// <summary>Streams of runs.</summary>
internal sealed partial class RunManyCalls(RunCalls runs, TensorSources sources, IOptions<ModelHostOptions> options, ILogger<RunManyCalls> logger)
{
    private const int MaxIdLength = 128;

    /// <summary>Runs what comes, so many at a time, until all that came is done.</summary>
    public async Task RunAsync(IAsyncStreamReader<RunManyRequest> requests, IServerStreamWriter<RunManyResponse> writer, CancellationToken ct)
    {
        using CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(ct);
        using SemaphoreSlim turn = new(1);
        Dictionary<string, Task> going = new(StringComparer.Ordinal);
        RoomForOne room = new();
        try
        {
            while (await requests.MoveNext(ct))
            {
                RunManyRequest request = requests.Current;
                if (going.Count >= options.Value.MaxStreamRequests) await Task.WhenAny(going.Values);
                foreach ((string id, Task task) in going.Where(pair => pair.Value.IsCompleted).ToArray())
                {
                    going.Remove(id);
                    await task;
                }

                if (request.Id.Length is 0 or > MaxIdLength) throw new InvalidRequestException("id", $"It must have 1 to {MaxIdLength} characters.");
                if (going.ContainsKey(request.Id)) throw new InvalidRequestException("id", $"The request '{request.Id}' is still going on.");
                room.Enter();
                going.Add(request.Id, RunOneAsync(request, new TaggedWriter(request.Id, writer, turn), room, end.Token));
            }

            await Task.WhenAll(going.Values);
        }
        finally
        {
            await end.CancelAsync();
            await Task.WhenAll(going.Values).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task RunOneAsync(RunManyRequest request, TaggedWriter writer, RoomForOne room, CancellationToken ct)
    {
        try
        {
            if (request.Run is null) throw new InvalidRequestException("run", "A run is required.");
            while (true)
            {
                // What this stream itself holds is let go as its reader reads on: no reason to refuse its next request.
                Task freed = room.NextLeave;
                long changes = room.Changes;
                try
                {
                    RunRequest run = request.Run.Clone();
                    using IDisposable memory = await sources.InlineAsync(run, ct);
                    await runs.RunAsync(run, writer, ct);
                    return;
                }
                catch (Exception e) when (!writer.HasBegun && IsBusy(e))
                {
                    // Not in the filter: that runs before the memory is given back.
                    if (room.TryWait())
                    {
                        await freed.WaitAsync(ct);
                        room.Enter();
                    }
                    else if (room.Changes == changes)
                    {
                        throw;
                    }
                }
            }
        }
        // One request's failure is its own: it is told as the call's would be, and the stream goes on.
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            Status status = ErrorMapping.ToStatus(e);
            if (status.Code is (int)Code.Internal or (int)Code.DataLoss) LogFailure(e, request.Id);
            await writer.WriteAsync(status.ToRequestError(), ct);
        }
        finally
        {
            room.Leave();
        }
    }

    private static bool IsBusy(Exception e) => ErrorMapping.ToStatus(e) is { Code: (int)Code.ResourceExhausted } status && status.GetDetail<RetryInfo>() is not null;

    [LoggerMessage(Level = LogLevel.Error, Message = "Request {Id} of a stream failed")]
    private partial void LogFailure(Exception e, string id);
}
