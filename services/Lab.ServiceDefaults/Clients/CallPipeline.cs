using Grpc.Core;
using Polly;
using Polly.CircuitBreaker;
using Polly.Timeout;

namespace Lab.ServiceDefaults.Clients;

/// <summary>
/// What every unary call to one part goes through: the deadline over all attempts, retries while the part is away, and a circuit that
/// spares a part that is away the calls of everybody.
/// </summary>
internal sealed class CallPipeline
{
    private static readonly ResiliencePropertyKey<DateTime> DeadlineKey = new("lab.deadline");
    private readonly string _part;
    private readonly ResiliencePipeline _pipeline;

    public CallPipeline(string part, TimeProvider time)
    {
        _part = part;
        _pipeline = new ResiliencePipelineBuilder { TimeProvider = time, Name = part }
            .AddTimeout(new TimeoutStrategyOptions
            {
                // Each attempt has the deadline too; this one also ends the waits between them.
                TimeoutGenerator = args => ValueTask.FromResult(Remaining(args.Context.Properties.GetValue(DeadlineKey, DateTime.MaxValue), time)),
            })
            .AddRetry(LabResilience.RetryOptions(time))
            .AddCircuitBreaker(new CircuitBreakerStrategyOptions
            {
                ShouldHandle = args => ValueTask.FromResult(args.Outcome.Exception is { } e && LabResilience.IsTransient(e)),
                FailureRatio = 0.5,
                MinimumThroughput = 10,
                SamplingDuration = TimeSpan.FromSeconds(10),
                BreakDuration = TimeSpan.FromSeconds(1),
            })
            .Build();
    }

    /// <summary>Makes a call, as often as it takes. Throws nothing but <see cref="RpcException"/>.</summary>
    public async Task<T> ExecuteAsync<T>(Func<CancellationToken, Task<T>> attempt, DateTime deadline, CancellationToken ct)
    {
        ResilienceContext context = ResilienceContextPool.Shared.Get(ct);
        context.Properties.Set(DeadlineKey, deadline);
        try
        {
            return await _pipeline.ExecuteAsync(async c => await attempt(c.CancellationToken), context);
        }
        catch (BrokenCircuitException e)
        {
            throw new RpcException(new Status(StatusCode.Unavailable, $"{_part} does not answer.", e));
        }
        catch (TimeoutRejectedException e)
        {
            throw new RpcException(new Status(StatusCode.DeadlineExceeded, $"{_part} did not answer before the deadline.", e));
        }
        catch (OperationCanceledException e)
        {
            throw new RpcException(new Status(StatusCode.Cancelled, "The call was cancelled.", e));
        }
        finally
        {
            ResilienceContextPool.Shared.Return(context);
        }
    }

    private static TimeSpan Remaining(DateTime deadline, TimeProvider time)
    {
        // Polly takes 10 ms to 24 hours; a deadline that is over fails in the attempt itself.
        TimeSpan remaining = deadline - time.GetUtcNow().UtcDateTime;
        return TimeSpan.FromTicks(Math.Clamp(remaining.Ticks, TimeSpan.FromMilliseconds(10).Ticks, TimeSpan.FromHours(24).Ticks));
    }
}
