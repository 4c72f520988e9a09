using Google.Protobuf;
using Grpc.Core;
using Lab.Protos.ModelHost.V1;
using Lab.Tensors;

namespace Lab.ModelHost.Tests;

/// <summary>All that a call about statistics sent.</summary>
internal sealed record StatisticsResult(IReadOnlyDictionary<string, HostTensor> Tensors, byte[] State, IReadOnlyList<StatisticsProgress> Progress, StatisticsSummary Summary)
{
    public static async Task<StatisticsResult> ReadAsync(IAsyncStreamReader<CollectStatisticsResponse> stream)
    {
        Dictionary<string, HostTensor> tensors = [];
        List<StatisticsProgress> progress = [];
        TensorFrameReader reader = new();
        using MemoryStream state = new();
        StatisticsSummary? summary = null;
        while (await stream.MoveNext(TestContext.Current.CancellationToken))
        {
            summary.ShouldBeNull();
            CollectStatisticsResponse response = stream.Current;
            if (response.ResponseCase == CollectStatisticsResponse.ResponseOneofCase.Frame && reader.Accept(response.Frame) is { } tensor) tensors.Add(tensor.Name, tensor);
            if (response.Progress is { } done) progress.Add(done);
            if (response.HasState) state.Write(response.State.Span);
            summary = response.Summary;
        }

        reader.Complete();
        return new StatisticsResult(tensors, state.ToArray(), progress, summary.ShouldNotBeNull());
    }

    public static async Task<StatisticsResult> CollectAsync(HostedLab lab, CollectStatisticsRequest request)
    {
        using AsyncServerStreamingCall<CollectStatisticsResponse> call = lab.Client.CollectStatistics(request, cancellationToken: TestContext.Current.CancellationToken);
        return await ReadAsync(call.ResponseStream);
    }

    public static async Task<StatisticsResult> MergeAsync(HostedLab lab, params MergeStatisticsRequest[] requests)
    {
        using AsyncDuplexStreamingCall<MergeStatisticsRequest, CollectStatisticsResponse> call = lab.Client.MergeStatistics(cancellationToken: TestContext.Current.CancellationToken);
        foreach (MergeStatisticsRequest request in requests) await call.RequestStream.WriteAsync(request, TestContext.Current.CancellationToken);
        await call.RequestStream.CompleteAsync();
        return await ReadAsync(call.ResponseStream);
    }

    /// <summary>A state in parts, as a client sends it.</summary>
    public static IEnumerable<MergeStatisticsRequest> Parts(int index, byte[] state) =>
        state.Chunk(10_000).Select(part => new MergeStatisticsRequest { State = new StatePart { Index = index, Data = ByteString.CopyFrom(part) } });
}
