using static TorchSharp.torch;

namespace Lab.BridgeAlignment.Bridges;

/// <summary>
/// Where a map starts: the ridge regression of one batch. Gradient descent alone would need most of its steps to get there, the more so as
/// residual streams differ in scale by orders of magnitude, between sites and between models.
/// </summary>
internal static class RidgeRegression
{
    /// <summary>The penalty in units of the inputs' mean variance. Small, for what matters is often in directions of small variance.</summary>
    private const double Penalty = 1e-5;

    /// <summary>The penalty where there are fewer than four tokens for each input, and so more noise than can be fitted.</summary>
    private const double PenaltyOfFewTokens = 1e-2;

    /// <summary>Sets weight and bias to the regression of targets on inputs.</summary>
    /// <param name="map">The map.</param>
    /// <param name="input">[tokens, in].</param>
    /// <param name="target">[tokens, out].</param>
    /// <exception cref="InvalidDataException">The inputs are constant, or not finite.</exception>
    public static void Solve(LinearMap map, Tensor input, Tensor target)
    {
        using var scope = NewDisposeScope();
        Tensor x = input.to(ScalarType.Float64), y = target.to(ScalarType.Float64);
        Tensor meanX = x.mean([0]), meanY = y.mean([0]);
        x = x - meanX;
        Tensor gram = x.t().mm(x);                                                                       // (in, in)
        double variance = gram.trace().item<double>() / gram.shape[0];
        if (variance <= 0 || !double.IsFinite(variance)) throw new InvalidDataException(variance == 0 ? "The residuals do not vary." : "The residuals are not finite.");
        double penalty = variance * (x.shape[0] < 4 * x.shape[1] ? PenaltyOfFewTokens : Penalty);
        Tensor penalized = gram + (eye(gram.shape[0], dtype: ScalarType.Float64, device: gram.device) * penalty);
        Tensor weight = linalg.solve(penalized, x.t().mm(y - meanY)).t();                                // (out, in)
        _ = map.Weight.copy_(weight);
        _ = map.Bias.copy_(meanY - weight.mv(meanX));
    }
}
