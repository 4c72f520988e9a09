using System.Text.Json.Nodes;
using Google.Protobuf;
using Grpc.Core;
using Lab.Artifacts;
using Lab.ModelHost.Mapping;
using Lab.Models.Statistics;
using Lab.Protos.ModelHost.V1;
using Lab.Protos.Tensor.V1;
using Lab.ServiceDefaults.Errors;
using Lab.Tensors;

namespace Lab.ModelHost.Statistics;

/// <summary>Stores and sends what was measured or merged.</summary>
internal sealed class StatisticsReply(ArtifactStore store)
{
    /// <summary>The kind of stored statistics.</summary>
    public const string Kind = "statistics";

    /// <summary>The file of a stored artifact that merges read.</summary>
    public const string StateFile = "statistics.state";

    private const string TensorsFile = "statistics.safetensors";
    private const int StateChunkBytes = 1 << 20;

    /// <summary>Stores it if that was asked for, and writes frames, state and summary.</summary>
    /// <param name="writer">The call's stream.</param>
    /// <param name="measured">What was measured.</param>
    /// <param name="report">What is to be told of it.</param>
    /// <param name="maxBytes">The most bytes of results and state to send.</param>
    /// <param name="inputs">The artifacts that it was made from, for provenance.</param>
    /// <param name="config">What was asked for, for provenance.</param>
    /// <param name="ct">Cancels the call.</param>
    public async Task WriteAsync(
        IServerStreamWriter<CollectStatisticsResponse> writer,
        MeasuredStatistics measured,
        StatisticsReport report,
        long maxBytes,
        IReadOnlyDictionary<string, string> inputs,
        JsonObject config,
        CancellationToken ct)
    {
        byte[]? state = report.NeedsState ? ToState(measured) : null;
        if (report.SendsState && state!.Length > maxBytes) throw new ResourceExhaustedException("BYTE_BUDGET_EXCEEDED", $"The state has {state.Length} bytes; the budget is {maxBytes}.");
        string? digest = report.Store is null ? null : await StoreAsync(measured, report, state!, inputs, config, ct);
        foreach (HostTensor tensor in measured.Statistics.SelectMany(one => StatisticsTensors.Of(one, report)))
        {
            foreach (TensorFrame frame in TensorFrames.Encode(tensor)) await writer.WriteAsync(new CollectStatisticsResponse { Frame = frame }, ct);
        }

        for (int from = 0; report.SendsState && from < state!.Length; from += StateChunkBytes)
        {
            ByteString bytes = UnsafeByteOperations.UnsafeWrap(state.AsMemory(from, Math.Min(StateChunkBytes, state.Length - from)));
            await writer.WriteAsync(new CollectStatisticsResponse { State = bytes }, ct);
        }

        await writer.WriteAsync(new CollectStatisticsResponse { Summary = measured.ToSummary(digest) }, ct);
    }

    private static byte[] ToState(MeasuredStatistics measured) =>
        new StatisticsFile(measured.Statistics, StatisticsStates.Metadata(measured)).ToBytes();

    private async Task<string> StoreAsync(
        MeasuredStatistics measured, StatisticsReport report, byte[] state, IReadOnlyDictionary<string, string> inputs, JsonObject config, CancellationToken ct)
    {
        StoredArtifact artifact = await store.PutAsync(
            Kind,
            new ArtifactProvenance("ModelHost", inputs, config, Seed: null),
            async (folder, token) =>
            {
                SafetensorsWriter.Write(Path.Combine(folder, TensorsFile), measured.Statistics.SelectMany(one => StatisticsTensors.Of(one, report)).Select(StatisticsTensors.ToFloats));
                await File.WriteAllBytesAsync(Path.Combine(folder, StateFile), state, token);
            },
            ct);
        if (report.Store!.Length > 0) await store.SetNameAsync(report.Store, artifact.Digest, ct);
        return artifact.Digest;
    }
}
