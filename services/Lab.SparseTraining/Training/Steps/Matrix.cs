using Lab.Tensors.Kernels;
using static TorchSharp.torch;

namespace Lab.SparseTraining.Training.Steps;

/// <summary>Memory for a row of numbers for each token, that both libtorch's products and the kernels work on. Owned, kept for all steps.</summary>
internal sealed unsafe class Matrix : IDisposable
{
    /// <param name="rows">Tokens.</param>
    /// <param name="columns">Channels.</param>
    public Matrix(int rows, int columns)
    {
        (Rows, Columns) = (rows, columns);
        Value = zeros(rows, columns).DetachFromDisposeScope();
        Transposed = Value.t().DetachFromDisposeScope();
        Data = HostMemory.Address(Value);
    }

    public int Rows { get; }

    public int Columns { get; }

    /// <summary>Entries.</summary>
    public long Count => (long)Rows * Columns;

    /// <summary>Bytes of its memory.</summary>
    public long SizeBytes => Count * sizeof(float);

    /// <summary>[rows, columns].</summary>
    public Tensor Value { get; }

    /// <summary>[columns, rows]: a view.</summary>
    public Tensor Transposed { get; }

    /// <summary>The first entry.</summary>
    public float* Data { get; }

    public void Clear() => Value.zero_();

    public void Dispose()
    {
        Transposed.Dispose();
        Value.Dispose();
    }
}
