using System.Text.Json.Nodes;
using Google.Protobuf;
using Grpc.Core;
using Lab.Artifacts;
using Lab.ModelHost.Mapping;
using Lab.ModelHost.Passes;
using Lab.ModelHost.Residents;
using Lab.ModelHost.Sources;
using Lab.Protos.ModelHost.V1;
using Microsoft.Extensions.Options;

namespace Lab.ModelHost.Statistics;

/// <summary>The calls about statistics, from the request to the last message.</summary>
internal sealed class StatisticsCalls(
    StatisticsInputs inputs, StatisticsCollector collector, StatisticsMerger merger, StatisticsReply reply, RunLimits limits, ArtifactStore store, IOptions<ModelHostOptions> options, TimeProvider time)
{
    private static readonly TimeSpan ProgressInterval = TimeSpan.FromMilliseconds(200);

    /// <summary>Measures, and sends progress and results.</summary>
    public async Task CollectAsync(CollectStatisticsRequest request, ResidentModel model, IServerStreamWriter<CollectStatisticsResponse> writer, CancellationToken ct)
    {
        StatisticsOrder order = request.ToOrder(model, options.Value.MaxRequestBytes);
        if (order.Report.Store is { Length: > 0 } name) await store.RequireNameAsync(name, "store.name", ct);
        (IStatisticsInput input, string? corpus) = await inputs.OpenAsync(request, model, ct);
        using RunLimits.Holding memory = limits.HoldAsNeeded(model);
        using (input)
        {
            long last = time.GetTimestamp();
            MeasuredStatistics measured = await collector.CollectAsync(model, order, input, memory, SendProgress, ct);
            Dictionary<string, string> origins = new() { ["model"] = model.Digest };
            if (corpus is not null) origins.Add("corpus", corpus);
            await reply.WriteAsync(writer, measured, order.Report, order.MaxBytes, origins, ToConfig(request), ct);

            async Task SendProgress(long rows, long tokens)
            {
                if (rows < input.Rows && time.GetElapsedTime(last) < ProgressInterval) return;
                last = time.GetTimestamp();
                await writer.WriteAsync(new CollectStatisticsResponse { Progress = new StatisticsProgress { Rows = rows, TotalRows = input.Rows, Tokens = tokens } }, ct);
            }
        }
    }

    /// <summary>Merges, and sends results.</summary>
    public async Task MergeAsync(IAsyncStreamReader<MergeStatisticsRequest> requests, IServerStreamWriter<CollectStatisticsResponse> writer, CancellationToken ct)
    {
        using RunLimits.Holding memory = limits.HoldAsNeeded();
        (MeasuredStatistics merged, StatisticsReport report, IReadOnlyDictionary<string, string> origins) = await merger.MergeAsync(requests, memory, ct);
        if (report.NeedsState) memory.Resize(2 * memory.Bytes);
        Dictionary<string, string> all = new(origins);
        if (merged.Identity.TryGetValue("model", out string? model) && ArtifactLookup.IsDigest(model)) all["model"] = model;
        await reply.WriteAsync(writer, merged, report, options.Value.MaxRequestBytes, all, new JsonObject { ["merged_rows"] = merged.Rows }, ct);
    }

    /// <summary>The request without its tokens, which may be many.</summary>
    private static JsonObject ToConfig(CollectStatisticsRequest request)
    {
        CollectStatisticsRequest config = request.Clone();
        config.Inputs.Clear();
        return JsonNode.Parse(JsonFormatter.Default.Format(config))!.AsObject();
    }
}
