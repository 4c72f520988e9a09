using Lab.Tensors.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace Lab.Models;

/// <summary>The sparse forms of a model's matrices, as its weights were when this was made.</summary>
internal sealed class SparseWeights : IDisposable
{
    private readonly Dictionary<string, SparseMatrix> _matrices = [];

    /// <summary>Reads the matrices that are sparse: [out, in], FP32, on the CPU.</summary>
    /// <param name="weights">The model's.</param>
    /// <param name="maxDensity">The largest part of nonzero entries; null for where sparse products are faster, whatever the batch.</param>
    public SparseWeights(TransformerWeights weights, double? maxDensity)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        foreach (LinearWeights map in weights.Blocks.SelectMany(Maps).OfType<LinearWeights>().Append(new LinearWeights(weights.Unembedding, null)))
        {
            Tensor weight = map.Weight.Value;
            if (map.IsInOut || weight.dtype != ScalarType.Float32 || weight.device_type != DeviceType.CPU || !weight.is_contiguous()) continue;
            long nonzeros = weight.count_nonzero().item<long>();
            bool isSparse = maxDensity is { } most ? nonzeros <= most * weight.numel() : SparseMatrix.IsWorthwhile(weight.shape[0], weight.shape[1], nonzeros, tokens: 1);
            if (!isSparse) continue;
            SparseMatrix matrix = new(hasInputGradient: false);
            _matrices.Add(map.Weight.Name, matrix);
            matrix.Rebuild(weight);
        }
    }

    /// <summary>How many matrices have a sparse form.</summary>
    public int Count => _matrices.Count;

    /// <summary>Bytes of the sparse forms, which come on top of the weights'.</summary>
    public long SizeBytes => _matrices.Values.Sum(matrix => matrix.SizeBytes);

    /// <summary>A matrix's sparse form; null if it has none.</summary>
    public SparseMatrix? Find(NamedParameter weight) => _matrices.GetValueOrDefault(weight.Name);

    public void Dispose()
    {
        foreach (SparseMatrix matrix in _matrices.Values) matrix.Dispose();
    }

    private static IEnumerable<LinearWeights?> Maps(BlockWeights block) =>
        [block.Attention.Qkv, block.Attention.Q, block.Attention.K, block.Attention.V, block.Attention.Out, block.Mlp.In, block.Mlp.Linear, block.Mlp.Out];
}
