using Lab.BridgeAlignment.Streams;
using Lab.Models;
using Lab.Tensors;
using Lab.Testing;
using static TorchSharp.torch;

namespace Lab.BridgeAlignment.Tests.Support;

/// <summary>Runs models right here.</summary>
internal sealed class ModelSource(IReadOnlyDictionary<string, Transformer> models) : IActivationSource, IDisposable
{
    private int _reads;
    private int _failingRead;

    public List<string> Prepared { get; } = [];

    /// <summary>Lets a read of activations throw, once.</summary>
    /// <param name="reads">How many go well before it.</param>
    public void FailAfter(int reads) => _failingRead = _reads + reads + 1;

    public Task PrepareAsync(string model, CancellationToken ct)
    {
        lock (Prepared) Prepared.Add(model);
        return Task.CompletedTask;
    }

    public Task<IReadOnlyList<HostTensor>> ReadActivationsAsync(string model, TokenBatch batch, IReadOnlyList<string> hooks, CancellationToken ct)
    {
        if (Interlocked.Increment(ref _reads) == _failingRead) throw new IOException("The power went out.");
        RecordingTap tap = new(hooks);
        _ = Run(models[model], batch, tap);
        return Task.FromResult<IReadOnlyList<HostTensor>>([.. hooks.Select(hook => tap[hook])]);
    }

    public Task<HostTensor> ReadLogitsAsync(string model, TokenBatch batch, HostTensor? replacement, CancellationToken ct) =>
        Task.FromResult(Run(models[model], batch, new RecordingTap([], replacement)));

    public void Dispose()
    {
        foreach (Transformer model in models.Values) model.Dispose();
    }

    private static HostTensor Run(Transformer model, TokenBatch batch, RecordingTap tap)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        return model.Forward(tensor(batch.Ids, batch.Rows, batch.Length), tap).ToHost("logits");
    }
}
