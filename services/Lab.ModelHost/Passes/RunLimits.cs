using Lab.ModelHost.Generation;
using Lab.ModelHost.Residents;
using Lab.Models;
using Lab.Models.Interventions;
using Lab.ServiceDefaults.Errors;
using Microsoft.Extensions.Options;

namespace Lab.ModelHost.Passes;

/// <summary>Refuses runs that are too large, before anything runs, and keeps the memory of all runs within its bound.</summary>
internal sealed class RunLimits(IOptions<ModelHostOptions> options)
{
    /// <summary>Where nothing waits for the model: the memory is held by readers, whose speed is not known.</summary>
    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(1);

    private readonly ModelHostOptions _options = options.Value;
    private long _heldBytes;
    private long _cacheBytes;

    /// <summary>The bytes of keys and values that generations hold at the moment.</summary>
    public long CacheBytes => Interlocked.Read(ref _cacheBytes);

    /// <summary>The bytes that runs hold at the moment.</summary>
    public long HeldBytes => Interlocked.Read(ref _heldBytes);

    /// <summary>Takes the memory that a run's tensors need until they are sent.</summary>
    /// <param name="model">The model.</param>
    /// <param name="plan">The run.</param>
    /// <param name="isTwice">Whether the pass has the rows twice even if the plan needs no twin.</param>
    /// <returns>Gives it back when disposed.</returns>
    /// <exception cref="ResourceExhaustedException">The plan is above a limit, or too much memory is held by other runs.</exception>
    public IDisposable Admit(ResidentModel model, RunPlan plan, bool isTwice = false)
    {
        RequireBytes(plan.TotalBytes, plan.Order.Limits.MaxBytes);
        RequireTokens(plan.Order.Limits, plan.Forward.Batch.Lengths.Sum(length => (long)length));
        RequireSize(model.Config, plan.Forward, isTwice);
        return Hold(plan.TotalBytes, model);
    }

    /// <summary>Takes the memory that a generation needs: of captures until they are sent, of keys and values until its end.</summary>
    /// <param name="model">The model.</param>
    /// <param name="plan">The generation.</param>
    /// <param name="cache">Gives the memory of keys and values back when disposed.</param>
    /// <returns>Gives the memory of captures back when disposed.</returns>
    /// <exception cref="ResourceExhaustedException">The plan is above a limit, or too much memory is held by others.</exception>
    public IDisposable Admit(ResidentModel model, GenerationPlan plan, out IDisposable cache)
    {
        RunOrder order = plan.Order.Prefill;
        RequireBytes(plan.TotalBytes, order.Limits.MaxBytes);
        RequireTokens(order.Limits, plan.Order.Prompt.Length + 1);
        RequireSize(model.Config, plan.Prefill.Forward);
        if (plan.CacheBytes > _options.MaxCacheBytes)
            throw new ResourceExhaustedException("BATCH_TOO_LARGE", $"The keys and values would have {plan.CacheBytes} bytes; the most is {_options.MaxCacheBytes}.");
        IDisposable captures = Hold(plan.TotalBytes, model);
        if (Interlocked.Add(ref _cacheBytes, plan.CacheBytes) > _options.MaxCacheBytes)
        {
            Interlocked.Add(ref _cacheBytes, -plan.CacheBytes);
            captures.Dispose();
            throw new ResourceExhaustedException("MEMORY_BUSY", $"Other generations hold the service's {_options.MaxCacheBytes} bytes of keys and values.", RetryAfter(model));
        }

        cache = new Share(() => Interlocked.Add(ref _cacheBytes, -plan.CacheBytes));
        return captures;
    }

    /// <summary>Requires that a reply is within the service's limit, and its own budget unless that is 0.</summary>
    /// <exception cref="ResourceExhaustedException">It is not.</exception>
    public void RequireBytes(long bytes, long budget = 0)
    {
        long limit = budget > 0 ? Math.Min(budget, _options.MaxRequestBytes) : _options.MaxRequestBytes;
        if (bytes > limit) throw new ResourceExhaustedException("BYTE_BUDGET_EXCEEDED", $"The run would send {bytes} bytes of tensors; its budget is {limit}.");
    }

    /// <summary>Takes memory out of what all runs together may hold.</summary>
    /// <param name="bytes">How much.</param>
    /// <param name="model">The model that it is for; null if that is not known.</param>
    /// <returns>Gives it back when disposed.</returns>
    /// <exception cref="ResourceExhaustedException">Too much is held by other runs.</exception>
    public IDisposable Hold(long bytes, ResidentModel? model = null)
    {
        Take(bytes, model);
        return new Share(() => Interlocked.Add(ref _heldBytes, -bytes));
    }

    /// <summary>Begins to hold memory that grows and shrinks as a call works; nothing at first.</summary>
    /// <param name="model">The model that it is for; null for none.</param>
    public Holding HoldAsNeeded(ResidentModel? model = null) => new(this, model);

    private void Take(long bytes, ResidentModel? model)
    {
        if (Interlocked.Add(ref _heldBytes, bytes) > _options.MaxHeldBytes)
        {
            Interlocked.Add(ref _heldBytes, -bytes);
            throw new ResourceExhaustedException("MEMORY_BUSY", $"Other runs hold the service's {_options.MaxHeldBytes} bytes until their readers take them.", RetryAfter(model));
        }
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

    private static TimeSpan RetryAfter(ResidentModel? model) => model?.Scheduler.RetryAfter ?? RetryDelay;

    /// <summary>Memory that a call holds at the moment; given back when disposed. Not thread-safe.</summary>
    internal sealed class Holding(RunLimits limits, ResidentModel? model) : IDisposable
    {
        /// <summary>What it holds.</summary>
        public long Bytes { get; private set; }

        /// <summary>Takes what is lacking, or gives back what is too much.</summary>
        /// <exception cref="ResourceExhaustedException">Too much is held by others; then it holds what it held.</exception>
        public void Resize(long bytes)
        {
            if (bytes > Bytes) limits.Take(bytes - Bytes, model);
            else Interlocked.Add(ref limits._heldBytes, bytes - Bytes);
            Bytes = bytes;
        }

        public void Dispose() => Resize(0);
    }

    private sealed class Share(Action giveBack) : IDisposable
    {
        private Action? _giveBack = giveBack;

        public void Dispose() => Interlocked.Exchange(ref _giveBack, null)?.Invoke();
    }
}
