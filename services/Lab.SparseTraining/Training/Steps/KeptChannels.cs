using Lab.Models;
using Lab.Tensors.Kernels;
using static TorchSharp.torch;

namespace Lab.SparseTraining.Training.Steps;

/// <summary>AbsTopK at one site: what the forward pass kept is where the gradient passes.</summary>
internal sealed unsafe class KeptChannels : IDisposable
{
    private readonly Tensor? _bits;
    private readonly ulong* _words;
    private readonly int _rows;
    private readonly int _columns;
    private readonly int _kept;

    /// <param name="config">Says whether the site is sparse, and how many channels it keeps.</param>
    /// <param name="site">The site.</param>
    /// <param name="rows">Tokens.</param>
    /// <param name="columns">Channels.</param>
    public KeptChannels(TransformerConfig config, AbsTopKSites site, int rows, int columns)
    {
        (_rows, _columns, _kept) = (rows, columns, (int)(config.ActivationFraction * columns));
        if (config.ActivationFraction >= 1 || (config.ActivationSites & site) == 0) return;
        long words = (long)rows * AbsTopK.WordsPerRow(columns);
        _bits = zeros(words, dtype: ScalarType.Int64).DetachFromDisposeScope();
        _words = HostMemory.AddressOfWords(_bits, words);
    }

    /// <summary>Whether anything is done.</summary>
    public bool IsSparse => _bits is not null;

    /// <summary>Keeps the largest of each row, in place.</summary>
    public void Select(float* x)
    {
        if (IsSparse) AbsTopK.Select(x, x, _words, _rows, _columns, _kept);
    }

    /// <summary>The gradient, in place.</summary>
    public void Mask(float* gradient) => Mask(gradient, gradient);

    /// <summary>The gradient.</summary>
    public void Mask(float* gradient, float* target)
    {
        if (IsSparse) AbsTopK.Mask(gradient, _words, target, _rows, _columns);
        else if (gradient != target) Buffer.MemoryCopy(gradient, target, (long)_rows * _columns * sizeof(float), (long)_rows * _columns * sizeof(float));
    }

    public void Dispose() => _bits?.Dispose();
}
