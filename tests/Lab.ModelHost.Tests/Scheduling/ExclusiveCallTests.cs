using Google.Rpc;
using Grpc.Core;
using Lab.ModelHost.Mapping;
using Lab.ModelHost.Passes;
using Lab.ModelHost.Residents;
using Lab.ModelHost.Tests.Gradients;
using Lab.Protos.ModelHost.V1;
using Microsoft.Extensions.DependencyInjection;
using static Lab.ModelHost.Tests.CallErrors;
using static Lab.ModelHost.Tests.HostedLab;

namespace Lab.ModelHost.Tests.Scheduling;

/// <summary>Calls that share no pass wait in the same queue as those that do.</summary>
public sealed class ExclusiveCallTests : IAsyncLifetime
{
    private readonly HostedLab _lab = new();

    public ValueTask InitializeAsync() => _lab.InitializeAsync();

    public ValueTask DisposeAsync() => _lab.DisposeAsync();

    private static GradientsRequest NewGradients(Priority priority = Priority.Normal)
    {
        GradientsRequest request = GradientLab.Request([1, 2, 3]);
        request.Targets.Add(GradientLab.At("blocks.0.hook_resid_pre"));
        request.Priority = priority;
        return request;
    }

    private static DiffRequest NewDiff(Priority priority = Priority.Normal)
    {
        RunRequest run = NewRun(priority);
        run.Interventions.Add(new Intervention { Selector = new Selector { Hook = "blocks.0.hook_mlp_out" }, Zero = new ZeroOperation() });
        return new DiffRequest { Run = run, Divergence = DivergenceMode.Final };
    }

    private static RunRequest NewRun(Priority priority = Priority.Normal)
    {
        RunRequest run = Request([1, 2, 3]);
        (run.Logits, run.Priority) = (LogitsMode.Last, priority);
        return run;
    }

    private Task<RunSummary> CallAsync(bool isDiff, Priority priority = Priority.Normal, CancellationToken ct = default) =>
        isDiff ? DiffAsync(NewDiff(priority), ct) : GradientsAsync(NewGradients(priority), ct);

    private async Task<RunSummary> GradientsAsync(GradientsRequest request, CancellationToken ct)
    {
        using AsyncServerStreamingCall<GradientsResponse> call = _lab.Client.Gradients(request, cancellationToken: ct);
        RunSummary? summary = null;
        while (await call.ResponseStream.MoveNext(TestContext.Current.CancellationToken)) summary = call.ResponseStream.Current.Summary?.Run;
        return summary.ShouldNotBeNull();
    }

    private async Task<RunSummary> DiffAsync(DiffRequest request, CancellationToken ct)
    {
        using AsyncServerStreamingCall<DiffResponse> call = _lab.Client.Diff(request, cancellationToken: ct);
        RunSummary? summary = null;
        while (await call.ResponseStream.MoveNext(TestContext.Current.CancellationToken)) summary = call.ResponseStream.Current.Summary?.Run;
        return summary.ShouldNotBeNull();
    }

    /// <summary>A run that tells how many requests wait when it begins.</summary>
    private async Task<int> WaitingAtRunAsync(Priority priority)
    {
        using ModelLease lease = await _lab.LeaseAsync();
        RunPlan plan = RunPlan.Of(lease.Model.Hooks, lease.Model.Config, NewRun(priority).ToOrder(lease.Model));
        int waiting = -1;
        await _lab.Host.Services.GetRequiredService<PassRunner>().RunAsync(
            lease.Model, plan, () => waiting = lease.Model.Scheduler.State.Length, _ => { }, TestContext.Current.CancellationToken);
        return waiting;
    }

    [Theory]
    [InlineData(false, Priority.High, 0)]
    [InlineData(true, Priority.High, 0)]
    [InlineData(false, Priority.Low, 1)]
    [InlineData(true, Priority.Low, 1)]
    public async Task Call_AmongQueuedRuns_GoesByItsPriority(bool isDiff, Priority priority, int waiting)
    {
        Priority others = priority == Priority.High ? Priority.Low : Priority.Normal;

        object[] results = await _lab.TogetherAsync<object>(() => [Runs(), Call()], 2);

        results[0].ShouldBe(waiting);

        // The call comes when the run waits already, or the other way round if it is to be overtaken.
        async Task<object> Runs()
        {
            if (priority == Priority.Low) await _lab.WaitingAsync(1);
            return await WaitingAtRunAsync(others);
        }

        async Task<object> Call()
        {
            if (priority == Priority.High) await _lab.WaitingAsync(1);
            return await CallAsync(isDiff, priority);
        }
    }

    [Fact]
    public async Task GetQueue_CallsThatWait_AreCountedAndEstimated()
    {
        ModelQueue? one = null;
        RunSummary[] summaries = await _lab.TogetherAsync<RunSummary>(
            () => [CallAsync(false), CallAsync(true)],
            2,
            async () =>
            {
                using ModelLease lease = await _lab.LeaseAsync();
                one = await _lab.QueueAsync();
                // What waits decides too when one that finds no memory is to try again.
                lease.Model.Scheduler.RetryAfter.ShouldNotBeNull().ShouldBeGreaterThanOrEqualTo(TimeSpan.FromMilliseconds(20));
            });

        one.ShouldNotBeNull().WaitMs.ShouldBeGreaterThan(0);
        summaries.ShouldAllBe(summary => summary.BatchedRequests == 1 && summary.QueueMs > 0);
        summaries.Select(summary => summary.BatchedRows).ShouldBe([1, 2]);
        (await _lab.QueueAsync()).ShouldBe(new ModelQueue());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Cancel_CallThatWaits_LeavesTheQueueAtOnce(bool isDiff)
    {
        using CancellationTokenSource cancel = new();

        object[] results = await _lab.TogetherAsync<object>(
            () => [Cancelled(), Run()],
            2,
            async () =>
            {
                await cancel.CancelAsync();
                // The model's thread is still busy.
                await _lab.WaitingAsync(1);
            });

        ((RpcException)results[0]).StatusCode.ShouldBe(StatusCode.Cancelled);
        ((RunReply)results[1]).Summary.BatchedRequests.ShouldBe(1);

        async Task<object> Run() => await _lab.RunAsync(NewRun());
        async Task<object> Cancelled() => await ErrorOf(() => CallAsync(isDiff, ct: cancel.Token));
    }

    [Fact]
    public async Task Run_NoMemory_IsToldToTryAgainWhenWhatWaitsIsDone()
    {
        using IDisposable others = _lab.Host.Services.GetRequiredService<RunLimits>().Hold(new ModelHostOptions().MaxHeldBytes - 1000);
        GradientsRequest large = NewGradients();
        large.Targets.Add(GradientLab.At("blocks.*.*"));
        TimeSpan idle = await RetryAsync(), busy = TimeSpan.Zero;

        await _lab.TogetherAsync<RunSummary>(() => [CallAsync(false)], 1, async () => busy = await RetryAsync());

        // Who holds the memory of an idle model is not known; before the first pass a small model is thought to be quick.
        (idle, busy).ShouldBe((TimeSpan.FromSeconds(1), TimeSpan.FromMilliseconds(20)));

        async Task<TimeSpan> RetryAsync()
        {
            RpcException e = await ErrorOf(() => GradientsAsync(large, TestContext.Current.CancellationToken));
            e.Reason().ShouldBe("MEMORY_BUSY");
            return e.GetRpcStatus()!.GetDetail<RetryInfo>().RetryDelay.ToTimeSpan();
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Call_FullQueue_IsRefusedWithATimeToTryAgain(bool isDiff)
    {
        await _lab.StopAsync();
        await _lab.StartAsync(("ModelHost:QueueCapacity", "1"));
        RpcException? refused = null;

        await _lab.TogetherAsync<RunSummary>(() => [CallAsync(!isDiff)], 1, async () => refused = await ErrorOf(() => CallAsync(isDiff)));

        (refused!.StatusCode, refused.Reason()).ShouldBe((StatusCode.ResourceExhausted, "WORKER_BUSY"));
        refused.GetRpcStatus()!.GetDetail<RetryInfo>().ShouldNotBeNull();
    }
}
