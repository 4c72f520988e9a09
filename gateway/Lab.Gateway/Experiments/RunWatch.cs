using System.Threading.Channels;
using Grpc.Core;
using Lab.Gateway.Engine;
using Lab.Protos.Experiment.V1;

namespace Lab.Gateway.Experiments;

/// <summary>Relays a run to one reader. A slow reader skips snapshots, never the last.</summary>
internal static class RunWatch
{
    public static async Task RelayAsync(IExperimentRunGrain grain, IServerStreamWriter<ExperimentRun> reader, CancellationToken cancellationToken)
    {
        Channel<ExperimentRun> latest = Channel.CreateBounded<ExperimentRun>(
            new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true, SingleWriter = true });
        using CancellationTokenSource ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task pump = PumpAsync(grain, latest.Writer, ended.Token);
        try
        {
            await foreach (ExperimentRun run in latest.Reader.ReadAllAsync(cancellationToken))
                await reader.WriteAsync(run, cancellationToken);
            await pump;
        }
        finally
        {
            // Also when the reader has gone: the pump must not outlive the call.
            await ended.CancelAsync();
        }
    }

    private static async Task PumpAsync(IExperimentRunGrain grain, ChannelWriter<ExperimentRun> latest, CancellationToken cancellationToken)
    {
        Exception? fault = null;
        try
        {
            await foreach (ExperimentRun run in grain.WatchAsync(CancellationToken.None).WithCancellation(cancellationToken))
                await latest.WriteAsync(run, cancellationToken);
        }
        catch (Exception e)
        {
            // It is thrown where the channel is read.
            fault = e;
        }
        latest.Complete(fault);
    }
}
