using System.Runtime.CompilerServices;
using Grpc.Core;
using Lab.Protos.Run.V1;
using Polly;
using Polly.CircuitBreaker;
using Polly.Retry;

namespace Lab.ServiceDefaults.Clients;

/// <summary>
/// What rides out the restart of a service. Unary calls of clients from <see cref="LabClients.AddLabClient"/> have it built in: wrap only
/// streaming calls, so that there is one layer of retries.
/// </summary>
public static class LabResilience
{
    /// <summary>How long, from the first failure, a service may be away: 2 minutes.</summary>
    public static readonly TimeSpan RideOut = TimeSpan.FromMinutes(2);

    private static readonly ResiliencePropertyKey<long> FirstFailure = new("lab.first-failure");

    /// <summary>
    /// Retries for <see cref="RideOut"/> while the service is away, after 0.1 s to 5 s, exponentially and with jitter. Use it around a
    /// whole streaming call: what the call did before it broke is done again.
    /// </summary>
    /// <param name="time">The clock; the system's by default.</param>
    public static ResiliencePipeline CreateRetry(TimeProvider? time = null) =>
        new ResiliencePipelineBuilder { TimeProvider = time }.AddRetry(RetryOptions(time ?? TimeProvider.System)).Build();

    /// <summary>Whether the exception says that the service is away for the moment: UNAVAILABLE, a lost connection, an open circuit.</summary>
    public static bool IsTransient(Exception e) => e switch
    {
        RpcException { StatusCode: StatusCode.Unavailable } => true,
        // A stream that was reset in its middle, as a proxy does when the service behind it is killed.
        RpcException { StatusCode: StatusCode.Internal or StatusCode.Unknown, Status.DebugException: { } cause } => IsLostConnection(cause),
        BrokenCircuitException => true,
        _ => false,
    };

    /// <summary>
    /// Watches a run to its end, across restarts of its service: opens the stream again where it breaks, until the service has been
    /// away for <see cref="RideOut"/>. Snapshots may repeat; the last one is final.
    /// </summary>
    /// <param name="open">Makes the Watch call, with the token it is given.</param>
    /// <param name="ct">Ends the watch.</param>
    /// <param name="time">The clock; the system's by default.</param>
    /// <exception cref="RpcException">The call failed otherwise, or the service stayed away.</exception>
    public static IAsyncEnumerable<TRun> WatchAsync<TRun>(
        Func<CancellationToken, AsyncServerStreamingCall<TRun>> open, CancellationToken ct, TimeProvider? time = null)
        where TRun : class, IRunResource =>
        WatchAsync(open, r => r.Status.State.IsFinal(), time ?? TimeProvider.System, ct);

    internal static RetryStrategyOptions RetryOptions(TimeProvider time) => new()
    {
        ShouldHandle = args => ValueTask.FromResult(
            args.Outcome.Exception is { } e && IsTransient(e) && IsWithinRideOut(args.Context, args.AttemptNumber, time)),
        MaxRetryAttempts = int.MaxValue,
        BackoffType = DelayBackoffType.Exponential,
        UseJitter = true,
        Delay = TimeSpan.FromMilliseconds(100),
        MaxDelay = TimeSpan.FromSeconds(5),
    };

    private static bool IsWithinRideOut(ResilienceContext context, int attempt, TimeProvider time)
    {
        if (attempt == 0) context.Properties.Set(FirstFailure, time.GetTimestamp());
        return time.GetElapsedTime(context.Properties.GetValue(FirstFailure, 0L)) < RideOut;
    }

    private static bool IsLostConnection(Exception cause)
    {
        for (Exception? e = cause; e is not null; e = e.InnerException)
        {
            if (e is HttpRequestException or IOException or System.Net.Sockets.SocketException) return true;
        }

        return false;
    }

    private static async IAsyncEnumerable<T> WatchAsync<T>(
        Func<CancellationToken, AsyncServerStreamingCall<T>> open, Func<T, bool> isLast, TimeProvider time, [EnumeratorCancellation] CancellationToken ct)
        where T : class
    {
        ResiliencePipeline retry = CreateRetry(time);
        while (true)
        {
            // A Watch call sends a snapshot at once: with the first one it stands, and the time to ride out begins anew.
            using AsyncServerStreamingCall<T> call = await retry.ExecuteAsync(static (open, token) => OpenAsync(open, token), open, ct);
            do
            {
                T item = call.ResponseStream.Current;
                yield return item;
                if (isLast(item)) yield break;
            }
            while (await MoveNextAsync(call, ct));

            await Task.Delay(TimeSpan.FromMilliseconds(250), time, ct);
        }
    }

    private static async ValueTask<AsyncServerStreamingCall<T>> OpenAsync<T>(Func<CancellationToken, AsyncServerStreamingCall<T>> open, CancellationToken ct)
    {
        AsyncServerStreamingCall<T> call = open(ct);
        try
        {
            return await call.ResponseStream.MoveNext(ct)
                ? call
                : throw new RpcException(new Status(StatusCode.Unavailable, "The stream ended before its first message."));
        }
        catch
        {
            call.Dispose();
            ct.ThrowIfCancellationRequested();
            throw;
        }
    }

    /// <summary>Whether there is a next message; false also where the stream broke and is to be opened again.</summary>
    private static async Task<bool> MoveNextAsync<T>(AsyncServerStreamingCall<T> call, CancellationToken ct)
    {
        try
        {
            return await call.ResponseStream.MoveNext(ct);
        }
        catch (RpcException e) when (IsTransient(e))
        {
            return false;
        }
        catch (RpcException e) when (ct.IsCancellationRequested)
        {
            throw new OperationCanceledException(e.Message, e, ct);
        }
    }
}
