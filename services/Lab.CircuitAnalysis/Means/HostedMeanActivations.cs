using Grpc.Core;
using Lab.CircuitAnalysis.Pruning;
using Lab.Protos.ModelHost.V1;
using Lab.ServiceDefaults.Clients;
using Lab.Tensors;
using Polly;

namespace Lab.CircuitAnalysis.Means;

/// <summary>Streams activations from ModelHost. A batch that a restart of ModelHost cut off is asked for again.</summary>
internal sealed class HostedMeanActivations(ModelHostService.ModelHostServiceClient client, TimeProvider time) : IMeanActivations
{
    /// <summary>What one call may send.</summary>
    private const long BatchBytes = 32 << 20;

    private readonly ResiliencePipeline _retry = LabResilience.CreateRetry(time);

    private static TimeSpan CallLimit => TimeSpan.FromMinutes(5);

    public async Task<float[]> MeasureAsync(string model, NodeLayout layout, IReadOnlyList<long[]> rows, Action<int> report, CancellationToken ct)
    {
        int length = rows[0].Length;
        int batchRows = (int)Math.Max(1, BatchBytes / (sizeof(float) * (long)layout.Count * length));
        MeanAccumulator means = new(layout);
        int done = 0;
        foreach (long[][] batch in rows.Chunk(batchRows))
        {
            RunRequest request = new() { Model = model, Input = new Input { Tokens = new TokenRows() } };
            request.Input.Tokens.Rows.AddRange(batch.Select(row => new TokenRow { Ids = { row.Select(id => checked((int)id)) } }));
            request.Captures.AddRange(layout.Sites.Select(site => new Selector { Hook = site.Hook.Name }));
            means.Add(await _retry.ExecuteAsync(async token => await RunAsync(request, layout, token), ct), batch.Length, length);
            report(done += batch.Length);
        }

        return means.ToMeans();
    }

    /// <summary>Loads the model, which costs nothing while it is resident, and runs one batch.</summary>
    private async Task<IReadOnlyList<HostTensor>> RunAsync(RunRequest request, NodeLayout layout, CancellationToken ct)
    {
        _ = await client.LoadModelAsync(new LoadModelRequest { Name = request.Model }, deadline: Deadline(), cancellationToken: ct);
        using AsyncServerStreamingCall<RunResponse> call = client.Run(request, deadline: Deadline(), cancellationToken: ct);
        Dictionary<string, HostTensor> tensors = [];
        TensorFrameReader reader = new();
        await foreach (RunResponse response in call.ResponseStream.ReadAllAsync(ct))
        {
            if (response.ResponseCase == RunResponse.ResponseOneofCase.Frame && reader.Accept(response.Frame) is { } tensor)
                tensors.Add(tensor.Name, tensor);
        }

        reader.Complete();
        return [.. layout.Sites.Select(site => tensors.GetValueOrDefault(site.Hook.Name)
            ?? throw new InvalidDataException($"ModelHost did not send {site.Hook.Name}."))];
    }

    private DateTime Deadline() => time.GetUtcNow().UtcDateTime + CallLimit;
}
