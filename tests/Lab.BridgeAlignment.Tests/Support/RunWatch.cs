using Grpc.Core;
using Lab.Protos.BridgeAlignment.V1;

namespace Lab.BridgeAlignment.Tests.Support;

internal static class RunWatch
{
    /// <summary>The run at its end.</summary>
    public static async Task<AlignmentRun> WatchToEndAsync(this BridgeAlignmentService.BridgeAlignmentServiceClient client, string name, CancellationToken ct)
    {
        using AsyncServerStreamingCall<AlignmentRun> call = client.WatchAlignmentRun(new WatchAlignmentRunRequest { Name = name }, cancellationToken: ct);
        AlignmentRun? last = null;
        await foreach (AlignmentRun run in call.ResponseStream.ReadAllAsync(ct)) last = run;
        return last!;
    }
}
