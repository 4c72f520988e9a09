using Lab.ModelHost.Passes;
using Lab.ModelHost.Residents;
using Lab.Models;
using Lab.Models.Interventions;
using Lab.Models.Statistics;
using Lab.ServiceDefaults.Errors;
using Lab.Tensors;
using Microsoft.Extensions.Options;
using static TorchSharp.torch;

namespace Lab.ModelHost.Statistics;

/// <summary>Measures activations batch by batch: one job on the model's thread for each, so that other requests get their turn between them.</summary>
internal sealed class StatisticsCollector(RunLimits limits, IOptions<ModelHostOptions> options, TimeProvider time)
{
    private static readonly TimeSpan BusyDelay = TimeSpan.FromMilliseconds(50);

    /// <summary>Measures. Cancelled, it stops within a layer.</summary>
    /// <param name="model">The model.</param>
    /// <param name="order">What to measure.</param>
    /// <param name="input">Over what.</param>
    /// <param name="progress">Gets rows and tokens measured so far, after each batch.</param>
    /// <param name="ct">Cancels the work.</param>
    /// <exception cref="ResourceExhaustedException">It is above a budget, or too large for the service.</exception>
    /// <exception cref="FailedPreconditionException">An intervention never fired.</exception>
    public async Task<MeasuredStatistics> CollectAsync(ResidentModel model, StatisticsOrder order, IStatisticsInput input, Func<long, long, Task> progress, CancellationToken ct)
    {
        if (input.Tokens > order.MaxTokens) throw new ResourceExhaustedException("TOKEN_BUDGET_EXCEEDED", $"The input has {input.Tokens} tokens; the budget is {order.MaxTokens}.");

        // The batches of a request may differ: what is wrong with any of them is found before the first one runs. Rows of a corpus are alike.
        StatisticsPlan first = StatisticsPlan.Of(model, order, input.Batches().First());
        if (input is RequestBatches) limits.RequireSizes(model, input.Batches().Select(batch => StatisticsPlan.Of(model, order, batch)));
        StatisticsTap.Require(first.Selections, "selectors");
        RequireMemory(order, first);
        using IDisposable memory = limits.Hold((long)first.Selections.Aggregate((Int128)0, (sum, selection) => sum + order.Options.EstimateBytes(selection.ChannelCount())));
        IReadOnlyDictionary<string, ActivationStatistics> statistics = StatisticsTap.Create(first.Selections, order.Options, "selectors");

        int[] fireCounts = new int[order.Interventions.Count];
        (long rows, long tokens, TimeSpan compute) = (0, 0, TimeSpan.Zero);
        foreach ((TokenBatch Batch, IReadOnlyList<RowOrigin> Rows) batch in input.Batches())
        {
            StatisticsPlan plan = StatisticsPlan.Of(model, order, batch);
            (IReadOnlyList<int> fired, TimeSpan elapsed) = await RunAsync(model, order, plan, statistics, order.MaxTime - compute, isFirst: rows == 0, ct);
            for (int i = 0; i < fired.Count; i++) fireCounts[i] += fired[i];
            (rows, tokens, compute) = (rows + batch.Batch.Count, tokens + batch.Batch.Lengths.Sum(length => (long)length), compute + elapsed);
            RequireMemory(statistics.Values.Sum(one => one.SizeBytes));
            await progress(rows, tokens);
        }

        PassRunner.RequireFired(order.Interventions, fireCounts);
        return new MeasuredStatistics([.. first.Selections.Select(selection => statistics[selection.Hook.Name])], order.Identity, rows, tokens, fireCounts, compute);
    }

    private async Task<(IReadOnlyList<int> FireCounts, TimeSpan Elapsed)> RunAsync(
        ResidentModel model,
        StatisticsOrder order,
        StatisticsPlan plan,
        IReadOnlyDictionary<string, ActivationStatistics> statistics,
        TimeSpan timeLeft,
        bool isFirst,
        CancellationToken ct)
    {
        while (true)
        {
            try
            {
                return await model.Worker.RunAsync(token => Run(model, order, plan, statistics, timeLeft, token), ct);
            }
            catch (TensorWorkerBusyException) when (!isFirst)
            {
                // What was measured so far is not thrown away because others came in between.
                await Task.Delay(BusyDelay, time, ct);
            }
        }
    }

    private (IReadOnlyList<int> FireCounts, TimeSpan Elapsed) Run(
        ResidentModel model, StatisticsOrder order, StatisticsPlan plan, IReadOnlyDictionary<string, ActivationStatistics> statistics, TimeSpan timeLeft, CancellationToken ct)
    {
        long started = time.GetTimestamp();
        // It has its own timer: one beside it could fire after it is disposed.
        TimeSpan left = timeLeft > TimeSpan.Zero ? timeLeft : TimeSpan.Zero;
        using CancellationTokenSource outOfTime = order.MaxTime == TimeSpan.MaxValue ? new CancellationTokenSource() : new CancellationTokenSource(left, time);
        using CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(ct, outOfTime.Token);
        try
        {
            using var noGrad = no_grad();
            bool hasTwin = plan.Forward.NeedsTwin;
            using InterventionTap interventions = new(plan.Forward.Interventions, plan.Forward.Batch.Lengths, hasTwin: hasTwin);
            StatisticsTap tap = new(plan.Selections, statistics, plan.Forward.Batch, order.Filter, plan.Rows, hasTwin, end.Token);
            Tensor ids = plan.Forward.Batch.ToTensor(model.Transformer.Device);
            ForwardInput input = new(hasTwin ? cat([ids, ids], 0) : ids)
            {
                Logits = LogitSelection.None,
                StopAtLayer = plan.StopAtLayer(model.Hooks),
            };
            model.Transformer.Forward(input, new ForwardTap(interventions, tap, end.Token));
            return (interventions.FireCounts, time.GetElapsedTime(started));
        }
        catch (OperationCanceledException) when (outOfTime.IsCancellationRequested && !ct.IsCancellationRequested)
        {
            throw new ResourceExhaustedException("TIME_BUDGET_EXCEEDED", $"The budget of {order.MaxTime.TotalMilliseconds} ms on the model's thread is spent.");
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
