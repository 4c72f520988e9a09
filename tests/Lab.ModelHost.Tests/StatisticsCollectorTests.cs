using Lab.ModelHost.Mapping;
using Lab.ModelHost.Passes;
using Lab.ModelHost.Residents;
using Lab.ModelHost.Scheduling;
using Lab.ModelHost.Statistics;
using Lab.ModelHost.Tests.Scheduling;
using Lab.Models.Interventions;
using Lab.Protos.ModelHost.V1;
using Lab.ServiceDefaults.Errors;
using Microsoft.Extensions.DependencyInjection;
using static Lab.ModelHost.Tests.HostedLab;

namespace Lab.ModelHost.Tests;

public sealed class StatisticsCollectorTests(HostedLab lab) : IClassFixture<HostedLab>
{
    private StatisticsCollector Collector => lab.Host.Services.GetRequiredService<StatisticsCollector>();

    [Fact]
    public async Task Collect_OtherRequests_RunBetweenBatchesAndACancelEndsIt()
    {
        using ModelLease lease = await LeaseAsync();
        using RunLimits.Holding memory = Limits.HoldAsNeeded();
        using CancellationTokenSource cancel = new();
        List<long> rows = [];
        RunRequest run = Request([1, 2]);
        run.Logits = LogitsMode.Last;

        await Should.ThrowAsync<OperationCanceledException>(Collector.CollectAsync(lease.Model, Order(lease.Model), Input(lease.Model), memory, OnProgressAsync, cancel.Token));

        rows.ShouldBe([1, 2]);
        Limits.HeldBytes.ShouldBe(memory.Bytes);
        memory.Bytes.ShouldBePositive();
        memory.Dispose();
        Limits.HeldBytes.ShouldBe(0);

        async Task OnProgressAsync(long done, long tokens)
        {
            rows.Add(done);
            tokens.ShouldBe(3 * done);
            (await lab.RunAsync(run)).Tensors.ShouldHaveSingleItem();
            if (done == 2) await cancel.CancelAsync();
        }
    }

    [Theory]
    [InlineData(Priority.Normal)]
    [InlineData(Priority.High)]
    public async Task Collect_QueuedRequestOfNoLowerPriority_GetsInBetween(Priority priority)
    {
        using RunLimits.Holding memory = Limits.HoldAsNeeded();
        using ModelLease lease = await LeaseAsync();
        StatisticsOrder order = Order(lease.Model) with { Priority = WorkPriority.Normal };
        RunRequest run = Request([1, 2]);
        run.Priority = priority;
        RunPlan plan = RunPlan.Of(lease.Model.Hooks, lease.Model.Config, run.ToOrder(lease.Model));
        (int measured, int measuredBefore) = (0, -1);

        await lab.TogetherAsync<object>(() => [CollectAsync(), RunAsync()], 2);

        // The first of five batches was there before it.
        measuredBefore.ShouldBeInRange(0, 1);
        measured.ShouldBe(5);

        async Task<object> CollectAsync() =>
            await Collector.CollectAsync(lease.Model, order, Input(lease.Model), memory, (_, _) => Task.FromResult(measured++), TestContext.Current.CancellationToken);
        async Task<object> RunAsync()
        {
            await lab.WaitingAsync(1);
            return await lab.Host.Services.GetRequiredService<PassRunner>().RunAsync(lease.Model, plan, () => measuredBefore = measured, _ => { }, TestContext.Current.CancellationToken);
        }
    }

    [Fact]
    public async Task Collect_OutOfTime_IsRefused()
    {
        using ModelLease lease = await LeaseAsync();
        using RunLimits.Holding memory = Limits.HoldAsNeeded();
        StatisticsOrder order = Order(lease.Model) with { MaxTime = TimeSpan.FromTicks(1) };
        ResourceExhaustedException error = await Should.ThrowAsync<ResourceExhaustedException>(
            Collector.CollectAsync(lease.Model, order, Input(lease.Model), memory, (_, _) => Task.CompletedTask, TestContext.Current.CancellationToken));
        error.Reason.ShouldBe("TIME_BUDGET_EXCEEDED");
    }

    [Fact]
    public async Task Collect_Repeatedly_LeavesNoTensors()
    {
        using ModelLease lease = await LeaseAsync();
        using RunLimits.Holding memory = Limits.HoldAsNeeded();
        async Task CollectAsync() =>
            await Collector.CollectAsync(lease.Model, Order(lease.Model), Input(lease.Model), memory, (_, _) => Task.CompletedTask, TestContext.Current.CancellationToken);
        await CollectAsync();
        long before = lease.Model.Worker.LeakedTensorCount;
        await CollectAsync();
        lease.Model.Worker.LeakedTensorCount.ShouldBe(before);
    }

    private RunLimits Limits => lab.Host.Services.GetRequiredService<RunLimits>();

    private static StatisticsOrder Order(ResidentModel model) => new CollectStatisticsRequest
    {
        Selectors = { new Selector { Hook = "blocks.*.hook_resid_pre" } },
        Statistics = { Statistic.Mean, Statistic.Quantiles, Statistic.TopTokens, Statistic.Covariance },
    }.ToOrder(model, maxBytes: 1 << 20);

    private static RequestBatches Input(ResidentModel model) => new([.. Enumerable.Range(1, 5).Select(i => new TokenBatch(model.Config, [[i, i, i]]))]);

    private async Task<ModelLease> LeaseAsync() =>
        await lab.Host.Services.GetRequiredService<ModelRegistry>().LeaseAsync(ModelName, "model", TestContext.Current.CancellationToken);
}
