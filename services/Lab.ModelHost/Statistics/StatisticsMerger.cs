using Grpc.Core;
using Lab.Artifacts;
using Lab.ModelHost.Mapping;
using Lab.ModelHost.Sources;
using Lab.Protos.ModelHost.V1;
using Lab.ServiceDefaults.Errors;
using Microsoft.Extensions.Options;

namespace Lab.ModelHost.Statistics;

/// <summary>Reads what is to be merged from a call's stream. At most one state lies in memory beside the merged statistics.</summary>
internal sealed class StatisticsMerger(ArtifactStore store, IOptions<ModelHostOptions> options)
{
    /// <summary>Reads and merges everything.</summary>
    /// <returns>The statistics, what is to be told of them, and the artifacts among them: role to digest.</returns>
    public async Task<(MeasuredStatistics Merged, StatisticsReport Report, IReadOnlyDictionary<string, string> Inputs)> MergeAsync(
        IAsyncStreamReader<MergeStatisticsRequest> requests, CancellationToken ct)
    {
        StatisticsStates states = new(options.Value.MaxRequestBytes);
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
                    bytes.Write(request.State.Data.Span);
                    break;
                case MergeStatisticsRequest.RequestOneofCase.Artifact:
                    StoredArtifact artifact = await store.RequireAsync(request.Artifact, StatisticsReply.Kind, "artifact", ct);
                    inputs[$"statistics{inputs.Count}"] = artifact.Digest;
                    states.Add(await File.ReadAllBytesAsync(store.GetPath(artifact, StatisticsReply.StateFile), ct), $"artifact {request.Artifact}");
                    break;
                default:
                    throw new InvalidRequestException("request", "Options, a part of a state or an artifact is required.");
            }
        }

        AddState(states, bytes, index);
        MeasuredStatistics merged = states.Merged();
        return (merged, ReportOf(merged, wanted), inputs);
    }

    /// <summary>Adds the state whose bytes have all come. What a client sends is its own fault, unlike what is stored.</summary>
    private static void AddState(StatisticsStates states, MemoryStream bytes, int index)
    {
        if (index < 0 || bytes.Length == 0) return;
        try
        {
            states.Add(bytes.ToArray(), $"state[{index}]");
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
