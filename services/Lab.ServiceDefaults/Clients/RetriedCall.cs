using Grpc.Core;

namespace Lab.ServiceDefaults.Clients;

/// <summary>The attempts at one unary call, which its caller sees as one call: the last.</summary>
internal sealed class RetriedCall<TResponse>
{
    private readonly CancellationTokenSource _source;
    private AsyncUnaryCall<TResponse>? _last;

    /// <param name="pipeline">What decides on attempts.</param>
    /// <param name="attempt">Makes one.</param>
    /// <param name="options">The caller's options, with a deadline.</param>
    public RetriedCall(CallPipeline pipeline, Func<CancellationToken, AsyncUnaryCall<TResponse>> attempt, CallOptions options)
    {
        _source = CancellationTokenSource.CreateLinkedTokenSource(options.CancellationToken);
        Response = RunAsync(pipeline, attempt, options.Deadline!.Value);
    }

    public Task<TResponse> Response { get; }

    private AsyncUnaryCall<TResponse> Last => _last ?? throw new InvalidOperationException("The call has not been made yet.");

    public AsyncUnaryCall<TResponse> ToCall() => new(
        Response, static c => Of(c).HeadersAsync(), static c => Of(c).Last.GetStatus(), static c => Of(c).Last.GetTrailers(),
        static c => Of(c).Cancel(), this);

    private static RetriedCall<TResponse> Of(object call) => (RetriedCall<TResponse>)call;

    private async Task<TResponse> RunAsync(CallPipeline pipeline, Func<CancellationToken, AsyncUnaryCall<TResponse>> attempt, DateTime deadline)
    {
        // Callers seldom dispose of unary calls, so what hangs on their token is let go here.
        using (_source)
        {
            return await pipeline.ExecuteAsync(async ct =>
            {
                _last?.Dispose();
                _last = attempt(ct);
                return await _last.ResponseAsync;
            }, deadline, _source.Token);
        }
    }

    /// <summary>The headers of the attempt that counted, which is known with its response.</summary>
    private async Task<Metadata> HeadersAsync()
    {
        await Response;
        return await Last.ResponseHeadersAsync;
    }

    private void Cancel()
    {
        try
        {
            _source.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The call has ended by itself.
        }

        _last?.Dispose();
    }
}
