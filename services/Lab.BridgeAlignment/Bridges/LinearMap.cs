using static TorchSharp.torch;

namespace Lab.BridgeAlignment.Bridges;

/// <summary>A linear map with bias, y = W x + b. Owned by its <see cref="Bridge"/>.</summary>
/// <param name="Weight">[out, in].</param>
/// <param name="Bias">[out].</param>
internal sealed record LinearMap(Tensor Weight, Tensor Bias)
{
    /// <summary>Maps rows.</summary>
    /// <param name="x">[tokens, in].</param>
    /// <returns>[tokens, out], in the caller's dispose scope.</returns>
    public Tensor Apply(Tensor x) => addmm(Bias, x, Weight.t(), 1, 1);
}
