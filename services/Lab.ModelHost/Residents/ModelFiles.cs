using Lab.Models;
using Lab.Models.Checkpoints;
using Lab.Models.Tokenizers;
using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.ModelHost.Residents;

/// <summary>A model's files: config and tokenizer read, weights open.</summary>
/// <param name="Source">Where they are.</param>
/// <param name="Digest">Of all of them.</param>
/// <param name="Config">The architecture.</param>
/// <param name="Tokenizer">The tokenizer; null if there is none.</param>
/// <param name="Checkpoint">The weights, of which only the headers are read.</param>
internal sealed record ModelFiles(ModelSource Source, string Digest, TransformerConfig Config, ITokenizer? Tokenizer, ICheckpoint Checkpoint) : IDisposable
{
    /// <summary>Bytes of the weights in memory; sparse forms of matrices, which only the loaded weights tell of, come on top.</summary>
    public long SizeBytes { get; } = TransformerLoader.SizeOf(Config, Checkpoint, TypeOf(Source));

    /// <summary>Loads the weights.</summary>
    /// <param name="device">Where they go.</param>
    /// <param name="progress">Gets the bytes that are there, of <see cref="SizeBytes"/>.</param>
    /// <param name="ct">Stops it after a tensor.</param>
    /// <exception cref="InvalidDataException">The weights are not those of the config.</exception>
    public Transformer Load(Device device, Action<long> progress, CancellationToken ct)
    {
        long total = Checkpoint.Tensors.Values.Sum(tensor => tensor.ByteCount);
        return TransformerLoader.Load(Config, Checkpoint, TypeOf(Source), device, bytes => progress((long)((Int128)bytes * SizeBytes / total)), ct);
    }

    public void Dispose() => Checkpoint.Dispose();

    private static ScalarType TypeOf(ModelSource source) => source.Type switch
    {
        TensorDataType.BFloat16 => ScalarType.BFloat16,
        TensorDataType.Float64 => ScalarType.Float64,
        _ => ScalarType.Float32,
    };
}
