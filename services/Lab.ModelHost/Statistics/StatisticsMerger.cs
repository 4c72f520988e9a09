using Grpc.Core;
using Lab.Artifacts;
using Lab.ModelHost.Mapping;
using Lab.ModelHost.Passes;
using Lab.ModelHost.Sources;
using Lab.Protos.ModelHost.V1;
using Lab.ServiceDefaults.Errors;
using Microsoft.Extensions.Options;

namespace Lab.ModelHost.Statistics;

/// <summary>Reads what is to be merged from a call's stream. At most one state lies in memory beside the merged statistics.</summary>
internal sealed class StatisticsMerger(ArtifactStore store, IOptions<ModelHostOptions> options)
{
    /// <summary>Reads and merges everything.</summary>
    /// <param name="requests">The states.</param>
    /// <param name="memory">Holds the memory that this takes, and in the end that of the merged statistics.</param>
    /// <param name="ct">Cancels the call.</param>
    /// <returns>The statistics, what is to be told of them, and the artifacts among them: role to digest.</returns>
    public async Task<(MeasuredStatistics Merged, StatisticsReport Report, IReadOnlyDictionary<string, string> Inputs)> MergeAsync(
        IAsyncStreamReader<MergeStatisticsRequest> requests, RunLimits.Holding memory, CancellationToken ct)
    {
        StatisticsStates states = new(options.Value.MaxRequestBytes, memory);
        Dictionary<string, string> inputs = [];
        MergeStatisticsOptions? wanted = null;
        using MemoryStream bytes = new();
        int index = -1;
        long total = 0;
        for (bool isFirst = true; await requests.MoveNext(ct); isFirst = false)
        {
            MergeStatisticsRequest request = requests.Current;
            switch (request.RequestCase)
            {
                case MergeStatisticsRequest.RequestOneofCase.Options:
                    if (!isFirst) throw new InvalidRequestException("options", "They must come first, once.");
                    wanted = request.Options;
                    if (wanted.Store is { Name.Length: > 0 } named) await store.RequireNameAsync(named.Name, "options.store.name", ct);
                    break;
                case MergeStatisticsRequest.RequestOneofCase.State:
                    if (request.State.Index != index)
                    {
                        AddState(states, bytes, index);
                        if (request.State.Index != index + 1) throw new InvalidRequestException("state.index", $"{request.State.Index} follows {index}: indices ascend from 0, one by one.");
                        index++;
                    }

                    total += request.State.Data.Length;
                    if (total > options.Value.MaxRequestBytes) throw new ResourceExhaustedException("BYTE_BUDGET_EXCEEDED", $"The states have more than {options.Value.MaxRequestBytes} bytes.");
                    // The buffer doubles as it grows.
                    memory.Resize(states.SizeBytes + Math.Max(bytes.Capacity, 2 * (bytes.Length + request.State.Data.Length)));
                    bytes.Write(request.State.Data.Span);
                    break;
                case MergeStatisticsRequest.RequestOneofCase.Artifact:
                    StoredArtifact artifact = await store.RequireAsync(request.Artifact, StatisticsReply.Kind, "artifact", ct);
                    inputs[$"statistics{inputs.Count}"] = artifact.Digest;
                    memory.Resize(states.SizeBytes + bytes.Capacity + StateSizeOf(artifact));
                    states.Add(await store.ReadAsync(artifact, StatisticsReply.StateFile, ct), $"artifact {request.Artifact}");
                    break;
                default:
                    throw new InvalidRequestException("request", "Options, a part of a state or an artifact is required.");
            }
        }

        AddState(states, bytes, index);
        MeasuredStatistics merged = states.Merged();
        memory.Resize(states.SizeBytes);
        return (merged, ReportOf(merged, wanted), inputs);
    }

    private long StateSizeOf(StoredArtifact artifact)
    {
        long size = artifact.Files.FirstOrDefault(file => file.Path == StatisticsReply.StateFile)?.SizeBytes
            ?? throw new InvalidDataException($"The artifact {artifact.Digest} has no file '{StatisticsReply.StateFile}'.");
        return size <= options.Value.MaxRequestBytes
            ? size
            : throw new ResourceExhaustedException("BYTE_BUDGET_EXCEEDED", $"The state of the artifact {artifact.Digest} has {size} bytes; the most is {options.Value.MaxRequestBytes}.");
    }

    /// <summary>Adds the state whose bytes have all come. What a client sends is its own fault, unlike what is stored.</summary>
    private static void AddState(StatisticsStates states, MemoryStream bytes, int index)
    {
        if (index < 0 || bytes.Length == 0) return;
        try
        {
            states.Add(bytes.GetBuffer().AsMemory(0, (int)bytes.Length), $"state[{index}]");
            bytes.SetLength(0);
        }
        catch (InvalidDataException e)
        {
            throw new InvalidRequestException($"state[{index}]", e.Message);
        }
    }

    private static StatisticsReport ReportOf(MeasuredStatistics merged, MergeStatisticsOptions? wanted)
    {
        StatisticsReport asked;
        try
        {
            asked = merged.Identity.ToReport();
        }
        catch (InvalidDataException e)
        {
            throw new InvalidRequestException("state", $"The metadata's {e.Message} are malformed.");
        }

        RequireKept(merged, asked, "state");
        if (wanted is null) return asked;
        StatisticsReport report = StatisticsMapping.ToReport(wanted.Statistics, wanted.Quantiles, wanted.SendState, wanted.Store, "options.");
        if (report.Statistics.Count == 0) report = report with { Statistics = asked.Statistics };
        if (wanted.Quantiles.Count == 0) report = report with { Quantiles = asked.Quantiles };
        RequireKept(merged, report, "options.statistics");
        return report;
    }

    private static void RequireKept(MeasuredStatistics merged, StatisticsReport report, string field)
    {
        foreach (Statistic statistic in report.Statistics)
        {
            bool isKept = merged.Statistics.All(one => statistic switch
            {
                Statistic.Quantiles => one.Options.QuantileError > 0,
                Statistic.TopTokens => one.Options.TopCount > 0,
                Statistic.BottomTokens => one.Options.BottomCount > 0,
                Statistic.Covariance => one.Options.HasCovariance,
                _ => true,
            });
            if (!isKept) throw new InvalidRequestException(field, $"The states do not have {statistic}.");
        }
    }
}
