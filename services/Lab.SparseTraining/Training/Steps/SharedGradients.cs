using Lab.Models;

namespace Lab.SparseTraining.Training.Steps;

/// <summary>What a backward pass needs of one layer at a time: the layers take turns.</summary>
internal sealed class SharedGradients(TransformerConfig config, int rows) : IDisposable
{
    /// <summary>[tokens, d_model]: the gradient of the residual stream.</summary>
    public Matrix Residual { get; } = new(rows, config.DModel);

    /// <summary>[tokens, d_model]: of what a sublayer added.</summary>
    public Matrix Added { get; } = new(rows, config.DModel);

    /// <summary>[tokens, d_model]: of what a sublayer read.</summary>
    public Matrix Read { get; } = new(rows, config.DModel);

    /// <summary>[tokens, d_mlp].</summary>
    public Matrix Neurons { get; } = new(rows, config.DMlp);

    /// <summary>[tokens, n_heads x d_head]: of the heads' outputs, then of the queries.</summary>
    public Matrix Queries { get; } = new(rows, config.NHeads * config.DHead);

    /// <summary>[tokens, n_heads x d_head].</summary>
    public Matrix Keys { get; } = new(rows, config.NHeads * config.DHead);

    /// <summary>[tokens, n_heads x d_head].</summary>
    public Matrix Values { get; } = new(rows, config.NHeads * config.DHead);

    /// <summary>Bytes of all.</summary>
    public long SizeBytes => All.Sum(matrix => matrix.SizeBytes);

    private Matrix[] All => [Residual, Added, Read, Neurons, Queries, Keys, Values];

    public void Dispose()
    {
        foreach (Matrix matrix in All) matrix.Dispose();
    }
}
