using static TorchSharp.torch;

namespace Lab.Models;

/// <summary>
/// The keys and values of one sequence, layer by layer, so that each new token costs one token's work. Owned by its maker, used on
/// the model's thread only. A pass that fails leaves it as it was.
/// </summary>
public sealed class SequenceCache : IDisposable
{
    private readonly Tensor[] _keys;
    private readonly Tensor[] _values;

    /// <summary>An empty cache.</summary>
    /// <param name="model">The model.</param>
    /// <param name="capacity">The most tokens it will hold, from 1 to n_ctx.</param>
    public SequenceCache(Transformer model, int capacity)
    {
        TransformerConfig config = model.Config;
        if (capacity < 1 || capacity > config.NCtx) throw new ArgumentOutOfRangeException(nameof(capacity), capacity, $"From 1 to {config.NCtx}.");
        Capacity = capacity;
        Tensor[] Make() => [.. Enumerable.Range(0, config.NLayers).Select(_ =>
            empty(config.KeyValueHeads, capacity, config.DHead, dtype: model.ScalarType, device: model.Device).DetachFromDisposeScope())];
        (_keys, _values) = (Make(), Make());
    }

    /// <summary>The most tokens it holds.</summary>
    public int Capacity { get; }

    /// <summary>The tokens that it holds.</summary>
    public int Length { get; internal set; }

    /// <summary>Bytes of a cache of some capacity.</summary>
    public static long BytesOf(TransformerConfig config, int capacity, int elementSize) =>
        2L * config.NLayers * config.KeyValueHeads * config.DHead * capacity * elementSize;

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Tensor tensor in _keys.Concat(_values)) tensor.Dispose();
    }

    /// <summary>Writes new tokens behind those that are there; <see cref="Length"/> grows only when the pass has ended.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="keys">[new, head, d_head], rotated.</param>
    /// <param name="values">[new, head, d_head].</param>
    /// <returns>All keys and values, [1, head, old + new, d_head], as views.</returns>
    internal (Tensor Keys, Tensor Values) Append(int layer, Tensor keys, Tensor values)
    {
        long count = keys.shape[0];
        if (Length + count > Capacity) throw new InvalidOperationException($"The cache holds {Length} of {Capacity} tokens; {count} more do not fit.");
        Tensor Write(Tensor cache, Tensor added)
        {
            cache.narrow(1, Length, count).copy_(added.transpose(0, 1));
            return cache.narrow(1, 0, Length + count).unsqueeze(0);
        }

        return (Write(_keys[layer], keys), Write(_values[layer], values));
    }
}
