using Google.Rpc;
using Grpc.Core;
using Lab.Protos.ModelHost.V1;
using Lab.ServiceDefaults.Clients;
using Lab.Tensors;
using Polly;
using Polly.Retry;

namespace Lab.BridgeAlignment.Streams;

/// <summary>Reads activations from ModelHost as streams of frames. A batch that ModelHost's restart cut off is asked for again.</summary>
internal sealed class GrpcActivationSource(ModelHostService.ModelHostServiceClient client, TimeProvider time) : IActivationSource
{
    private static readonly TimeSpan CallLimit = TimeSpan.FromMinutes(5);

    private const string LogitsName = "logits";

    private readonly ResiliencePipeline _retry = new ResiliencePipelineBuilder { TimeProvider = time }
        .AddPipeline(LabResilience.CreateRetry(time))
        .AddRetry(new RetryStrategyOptions
        {
            ShouldHandle = args => ValueTask.FromResult(
                args.Outcome.Exception is RpcException { StatusCode: StatusCode.ResourceExhausted or StatusCode.FailedPrecondition } e && IsWorthAnotherTry(e)),
            MaxRetryAttempts = 60,
            Delay = TimeSpan.FromSeconds(1),
        })
        .Build();

    public async Task PrepareAsync(string model, CancellationToken ct) =>
        _ = await client.LoadModelAsync(new LoadModelRequest { Name = model }, cancellationToken: ct);

    public async Task<IReadOnlyList<HostTensor>> ReadActivationsAsync(string model, TokenBatch batch, IReadOnlyList<string> hooks, CancellationToken ct)
    {
        RunRequest request = Request(model, batch);
        request.Captures.AddRange(hooks.Select(hook => new Selector { Hook = hook }));
        Dictionary<string, HostTensor> tensors = await RunAsync(request, batch, ct);
        return [.. hooks.Select(hook => Expect(tensors, hook))];
    }

    public async Task<HostTensor> ReadLogitsAsync(string model, TokenBatch batch, HostTensor? replacement, CancellationToken ct)
    {
        RunRequest request = Request(model, batch);
        request.Logits = LogitsMode.All;
        if (replacement is not null)
        {
            request.Interventions.Add(new Intervention
            {
                Selector = new Selector { Hook = replacement.Name },
                Set = new SetOperation { Value = new TensorSource { Inline = replacement.ToMessage() } },
            });
        }

        return Expect(await RunAsync(request, batch, ct), LogitsName);
    }

    private static RunRequest Request(string model, TokenBatch batch)
    {
        TokenRows rows = new();
        for (int row = 0; row < batch.Rows; row++)
        {
            TokenRow tokens = new();
            foreach (long id in batch.Row(row)) tokens.Ids.Add(checked((int)id));
            rows.Rows.Add(tokens);
        }

        return new RunRequest { Model = model, Input = new Input { Tokens = rows } };
    }

    private static HostTensor Expect(Dictionary<string, HostTensor> tensors, string name) =>
        tensors.GetValueOrDefault(name) ?? throw new InvalidDataException($"ModelHost did not send '{name}'.");

    private async Task<Dictionary<string, HostTensor>> RunAsync(RunRequest request, TokenBatch batch, CancellationToken ct)
    {
        bool isFirst = true;
        return await _retry.ExecuteAsync(
            async token =>
            {
                // A ModelHost that came back may not have the model, and somebody may have unloaded it.
                if (!isFirst) await PrepareAsync(request.Model, token);
                isFirst = false;
                return await RunOnceAsync(request, batch, token);
            },
            ct);
    }

    private async Task<Dictionary<string, HostTensor>> RunOnceAsync(RunRequest request, TokenBatch batch, CancellationToken ct)
    {
        using AsyncServerStreamingCall<RunResponse> call = client.Run(request, deadline: time.GetUtcNow().UtcDateTime + CallLimit, cancellationToken: ct);
        Dictionary<string, HostTensor> tensors = [];
        TensorFrameReader reader = new();
        await foreach (RunResponse response in call.ResponseStream.ReadAllAsync(ct))
        {
            if (response.ResponseCase != RunResponse.ResponseOneofCase.Frame || reader.Accept(response.Frame) is not { } tensor) continue;
            if (tensor.DataType != TensorDataType.Float32 || tensor.Shape is not [var rows, var length, _] || rows != batch.Rows || length != batch.Length)
                throw new InvalidDataException($"ModelHost sent {tensor} for {batch.Rows} rows of {batch.Length} tokens.");
            tensors.Add(tensor.Name, tensor);
        }

        reader.Complete();
        return tensors;
    }

    /// <summary>
    /// A model whose queue is full has room again soon, and one that somebody unloaded is loaded again. A request that is over a budget
    /// stays over it.
    /// </summary>
    private static bool IsWorthAnotherTry(RpcException e) =>
        e.GetRpcStatus() is { } status && (status.GetDetail<RetryInfo>() is not null || status.GetDetail<ErrorInfo>()?.Reason == "MODEL_NOT_LOADED");
}
