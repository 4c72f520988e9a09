using Lab.ModelHost.Passes;
using Lab.ModelHost.Residents;
using Lab.Models;
using Lab.Models.Interventions;
using Lab.Models.Statistics;
using Lab.ServiceDefaults.Errors;
using Lab.Tensors;
using Microsoft.Extensions.Options;

namespace Lab.ModelHost.Statistics;

/// <summary>Measures activations batch by batch: one job on the model's thread for each, so that other requests get their turn between them.</summary>
internal sealed class StatisticsCollector(RunLimits limits, IOptions<ModelHostOptions> options, TimeProvider time)
{
    private static readonly TimeSpan BusyDelay = TimeSpan.FromMilliseconds(50);

    /// <summary>Measures. Cancelled, it stops within a layer.</summary>
    /// <param name="model">The model.</param>
    /// <param name="order">What to measure.</param>
    /// <param name="input">Over what.</param>
    /// <param name="memory">Holds the memory of the statistics, and of their state if it is wanted.</param>
    /// <param name="progress">Gets rows and tokens measured so far, after each batch.</param>
    /// <param name="ct">Cancels the work.</param>
    /// <exception cref="ResourceExhaustedException">It is above a budget, or too large for the service.</exception>
    /// <exception cref="FailedPreconditionException">An intervention never fired.</exception>
    public async Task<MeasuredStatistics> CollectAsync(ResidentModel model, StatisticsOrder order, IStatisticsInput input, RunLimits.Holding memory, Func<long, long, Task> progress, CancellationToken ct)
    {
        if (input.Tokens > order.MaxTokens) throw new ResourceExhaustedException("TOKEN_BUDGET_EXCEEDED", $"The input has {input.Tokens} tokens; the budget is {order.MaxTokens}.");

        // The batches of a request may differ: what is wrong with any of them is found before the first one runs. Rows of a corpus are alike.
        StatisticsPlan first = StatisticsPlan.Of(model, order, input.Batches().First());
        limits.RequireSizes(model, input is RequestBatches ? input.Batches().Select(batch => StatisticsPlan.Of(model, order, batch)) : [first]);
        StatisticsTap.Require(first.Selections, "selectors");
        RequireMemory(order, first);
        long estimate = (long)first.Selections.Aggregate((Int128)0, (sum, selection) => sum + order.Options.EstimateBytes(selection.ChannelCount()));
        memory.Resize(order.Report.NeedsState ? 2 * estimate : estimate);
        IReadOnlyDictionary<string, ActivationStatistics> statistics = StatisticsTap.Create(first.Selections, order.Options, "selectors");

        TimeBudget budget = new(order.MaxTime, time);
        long[] fireCounts = new long[order.Interventions.Count], editFireCounts = new long[order.Edits.Count];
        (long rows, long tokens) = (0, 0);
        foreach ((TokenBatch Batch, IReadOnlyList<RowOrigin> Rows) batch in input.Batches())
        {
            StatisticsPlan plan = StatisticsPlan.Of(model, order, batch);
            StatisticsPass pass = await RunAsync(model, () => new StatisticsWork(order, plan, statistics, budget, model.Hooks, ct), isFirst: rows == 0, ct);
            budget.Add(pass.Elapsed);
            for (int i = 0; i < fireCounts.Length; i++) fireCounts[i] += pass.FireCounts[i];
            for (int i = 0; i < editFireCounts.Length; i++) editFireCounts[i] += pass.EditFireCounts[i];
            (rows, tokens) = (rows + batch.Batch.Count, tokens + batch.Batch.Lengths.Sum(length => (long)length));
            RequireMemory(statistics.Values.Sum(one => one.SizeBytes));
            await progress(rows, tokens);
        }

        RequireFired(order, fireCounts, editFireCounts);
        return new MeasuredStatistics(
            [.. first.Selections.Select(selection => statistics[selection.Hook.Name])], order.Identity, rows, tokens, fireCounts, editFireCounts, budget.Spent);
    }

    private async Task<StatisticsPass> RunAsync(ResidentModel model, Func<StatisticsWork> newWork, bool isFirst, CancellationToken ct)
    {
        while (true)
        {
            StatisticsWork work = newWork();
            try
            {
                model.Scheduler.Submit(work);
            }
            catch (Exception e) when (!isFirst && e is TensorWorkerBusyException or ResourceExhaustedException)
            {
                // What was measured so far is not thrown away because others came in between.
                await Task.Delay(BusyDelay, time, ct);
                continue;
            }

            return await work.Result;
        }
    }

    private static void RequireFired(StatisticsOrder order, long[] fireCounts, long[] editFireCounts)
    {
        PassRunner.RequireFired(order.Interventions, [.. fireCounts.Select(count => (int)Math.Min(count, int.MaxValue))]);
        for (int i = 0; i < editFireCounts.Length; i++)
        {
            if (editFireCounts[i] == 0 && !order.Edits[i].AllowUnfired)
            {
                throw new FailedPreconditionException("WEIGHT_EDIT_NOT_FIRED", $"weight_edits[{i}] of '{order.Edits[i].Parameter}' applied to no token.");
            }
        }
    }

    private void RequireMemory(StatisticsOrder order, StatisticsPlan plan)
    {
        Int128 results = 0, memory = 0;
        foreach (ResolvedSelection selection in plan.Selections)
        {
            long channels = selection.ChannelCount();
            if (order.Options.HasCovariance && channels > StatisticsOptions.MaxCovarianceChannels)
            {
                throw new InvalidRequestException("statistics", $"The covariance of {channels} channels at {selection.Hook.Name} is too large: at most {StatisticsOptions.MaxCovarianceChannels} are allowed.");
            }

            memory += order.Options.EstimateBytes(channels);
            results += StatisticsTensors.SizeBytes(channels, order);
        }

        if (results > order.MaxBytes) throw new ResourceExhaustedException("BYTE_BUDGET_EXCEEDED", $"The results would have {results} bytes; the budget is {order.MaxBytes}.");
        RequireMemory(memory);
    }

    private void RequireMemory(Int128 bytes)
    {
        long most = options.Value.MaxRequestBytes;
        if (bytes > most)
        {
            throw new ResourceExhaustedException(
                "STATISTICS_TOO_LARGE", $"The statistics take some {bytes} bytes of memory; at most {most} are allowed. Ask for fewer channels, fewer tokens of each, or coarser quantiles.");
        }
    }
}
