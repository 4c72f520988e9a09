using static TorchSharp.torch;

namespace Lab.BridgeAlignment.Bridges;

/// <summary>
/// Normalised mean squared error: squared error over squared distance from the mean over batch and positions. 0 is perfect, 1 is
/// as good as the mean.
/// </summary>
internal static class Nmse
{
    /// <summary>The denominator: the squared distance of all tokens from their mean.</summary>
    /// <param name="target">[tokens, channels].</param>
    public static double Spread(Tensor target)
    {
        using var scope = NewDisposeScope();
        return SquaredNorm(target - target.mean([0]));
    }

    /// <summary>The sum of squares of all elements.</summary>
    public static double SquaredNorm(Tensor x)
    {
        using Tensor norm = x.norm();
        double value = norm.item<float>();
        return value * value;
    }
}
