using Lab.ModelHost.Residents;
using Lab.Protos.ModelHost.V1;
using Microsoft.Extensions.DependencyInjection;

namespace Lab.ModelHost.Tests.Scheduling;

/// <summary>Calls that come while the model's thread is busy.</summary>
internal static class BusyModel
{
    public static Task<ModelLease> LeaseAsync(this HostedLab lab) =>
        lab.Host.Services.GetRequiredService<ModelRegistry>().LeaseAsync(HostedLab.ModelName, "model", TestContext.Current.CancellationToken);

    /// <summary>Makes calls while the model's thread is busy, so that all of them wait at once, then lets them run.</summary>
    public static async Task<T[]> TogetherAsync<T>(this HostedLab lab, Func<Task<T>[]> calls, int waiting, Func<Task>? meanwhile = null)
    {
        using ModelLease lease = await lab.LeaseAsync();
        using ManualResetEventSlim release = new();
        Task blocking = lease.Model.Worker.RunAsync(_ => release.Wait(CancellationToken.None), TestContext.Current.CancellationToken);
        try
        {
            Task<T>[] begun = calls();
            await lab.WaitingAsync(waiting, begun);
            if (meanwhile is not null) await meanwhile();
            release.Set();
            return await Task.WhenAll(begun);
        }
        finally
        {
            release.Set();
            await blocking;
        }
    }

    /// <summary>Waits until so many requests wait. One that has ended meanwhile will never be among them: that fails at once.</summary>
    public static async Task WaitingAsync(this HostedLab lab, int count, params IEnumerable<Task> begun)
    {
        while ((await lab.QueueAsync()).Length != count)
        {
            TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
            if (begun.FirstOrDefault(call => call.IsCompleted) is not { } ended) continue;
            await ended;
            throw new InvalidOperationException("A call ended before it could run.");
        }
    }

    public static async Task<ModelQueue> QueueAsync(this HostedLab lab) =>
        await lab.Client.GetQueueAsync(new GetQueueRequest { Model = HostedLab.ModelName }, cancellationToken: TestContext.Current.CancellationToken);
}
