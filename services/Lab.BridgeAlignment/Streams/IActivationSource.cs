using Lab.Tensors;

namespace Lab.BridgeAlignment.Streams;

/// <summary>Runs models and hands out their activations.</summary>
internal interface IActivationSource
{
    /// <summary>Makes a model ready to run. Idempotent.</summary>
    /// <param name="model">The artifact's digest.</param>
    /// <param name="ct">Cancels the call.</param>
    Task PrepareAsync(string model, CancellationToken ct);

    /// <summary>Runs a model and captures whole activations.</summary>
    /// <returns>One FP32 tensor [rows, length, channels] for each hook, in the order of <paramref name="hooks"/>.</returns>
    Task<IReadOnlyList<HostTensor>> ReadActivationsAsync(string model, TokenBatch batch, IReadOnlyList<string> hooks, CancellationToken ct);

    /// <summary>Runs a model, with one activation replaced if <paramref name="replacement"/> is set.</summary>
    /// <param name="model">The artifact's digest.</param>
    /// <param name="batch">The tokens.</param>
    /// <param name="replacement">An FP32 tensor of at most <see cref="TensorMessages.MaxDataBytes"/> named after the hook: [rows, length, channels], or [channels] for all tokens alike.</param>
    /// <param name="ct">Cancels the call.</param>
    /// <returns>Logits, FP32 [rows, length, d_vocab].</returns>
    Task<HostTensor> ReadLogitsAsync(string model, TokenBatch batch, HostTensor? replacement, CancellationToken ct);
}
