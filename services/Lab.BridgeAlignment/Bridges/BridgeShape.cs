using Lab.Tensors.Kernels;

namespace Lab.BridgeAlignment.Bridges;

/// <summary>The sizes of a bridge.</summary>
/// <param name="Sites">Its hooks, in the order of the forward pass.</param>
/// <param name="DenseWidth">The dense model's d_model.</param>
/// <param name="SparseWidth">The sparse model's d_model.</param>
/// <param name="ActivationFraction">The fraction of sparse channels that the encoder's AbsTopK keeps.</param>
internal sealed record BridgeShape(IReadOnlyList<string> Sites, int DenseWidth, int SparseWidth, double ActivationFraction)
{
    /// <summary>How many sparse channels the encoder's AbsTopK keeps of each token.</summary>
    public int Kept => AbsTopK.Kept(ActivationFraction, SparseWidth);
}
