using Lab.Models;
using Lab.Models.Interventions;
using Lab.ServiceDefaults.Errors;
using Microsoft.Extensions.Options;

namespace Lab.ModelHost.Passes;

/// <summary>Refuses runs that are too large, before anything runs, and keeps the memory of all runs within its bound.</summary>
internal sealed class RunLimits(IOptions<ModelHostOptions> options)
{
    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(1);

    private readonly ModelHostOptions _options = options.Value;
    private long _heldBytes;

    /// <summary>The bytes that runs hold at the moment.</summary>
    public long HeldBytes => Interlocked.Read(ref _heldBytes);

    /// <summary>Takes the memory that a run's tensors need until they are sent.</summary>
    /// <param name="config">The model's sizes.</param>
    /// <param name="plan">The run.</param>
    /// <param name="isTwice">Whether the pass has the rows twice even if the plan needs no twin.</param>
    /// <returns>Gives it back when disposed.</returns>
    /// <exception cref="ResourceExhaustedException">The plan is above a limit, or too much memory is held by other runs.</exception>
    public IDisposable Admit(TransformerConfig config, RunPlan plan, bool isTwice = false)
    {
        RequireBytes(plan.TotalBytes, plan.Order.Limits.MaxBytes);
        RequireTokens(plan.Order.Limits, plan.Forward.Batch.Lengths.Sum(length => (long)length));
        RequireSize(config, plan.Forward, isTwice);
        return Hold(plan.TotalBytes);
    }

    /// <summary>Requires that a reply is within the service's limit, and its own budget unless that is 0.</summary>
    /// <exception cref="ResourceExhaustedException">It is not.</exception>
    public void RequireBytes(long bytes, long budget = 0)
    {
        long limit = budget > 0 ? Math.Min(budget, _options.MaxRequestBytes) : _options.MaxRequestBytes;
        if (bytes > limit) throw new ResourceExhaustedException("BYTE_BUDGET_EXCEEDED", $"The run would send {bytes} bytes of tensors; its budget is {limit}.");
    }

    /// <summary>Takes memory out of what all runs together may hold.</summary>
    /// <returns>Gives it back when disposed.</returns>
    /// <exception cref="ResourceExhaustedException">Too much is held by other runs.</exception>
    public IDisposable Hold(long bytes)
    {
        if (Interlocked.Add(ref _heldBytes, bytes) > _options.MaxHeldBytes)
        {
            Interlocked.Add(ref _heldBytes, -bytes);
            throw new ResourceExhaustedException("MEMORY_BUSY", $"Other runs hold the service's {_options.MaxHeldBytes} bytes until their readers take them.", RetryDelay);
        }

        return new Held(this, bytes);
    }

    /// <summary>Requires that a request's tokens are within its budget.</summary>
    /// <exception cref="ResourceExhaustedException">They are not.</exception>
    public static void RequireTokens(RequestLimits limits, long tokens)
    {
        if (limits.MaxTokens > 0 && tokens > limits.MaxTokens)
            throw new ResourceExhaustedException("TOKEN_BUDGET_EXCEEDED", $"The request has {tokens} tokens; its budget is {limits.MaxTokens}.");
    }

    /// <summary>Requires that a pass fits into memory.</summary>
    public void RequireSize(TransformerConfig config, ForwardPlan plan, bool isTwice = false)
    {
        long bytes = PassCost.LargestTensorBytes(config, (isTwice || plan.NeedsTwin ? 2 : 1) * plan.Batch.Count, plan.Batch.Length, PassCost.HasScores(config, plan));
        if (bytes > _options.MaxIntermediateBytes)
        {
            throw new ResourceExhaustedException(
                "BATCH_TOO_LARGE", $"The largest tensor of the pass would have {bytes} bytes; the most is {_options.MaxIntermediateBytes}. Send fewer or shorter rows at a time.");
        }
    }

    private sealed class Held(RunLimits limits, long bytes) : IDisposable
    {
        private long _bytes = bytes;

        public void Dispose() => Interlocked.Add(ref limits._heldBytes, -Interlocked.Exchange(ref _bytes, 0));
    }
}
