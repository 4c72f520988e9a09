using static TorchSharp.torch;

namespace Lab.CircuitAnalysis.Pruning;

/// <summary>The step function that turns mask logits into masks.</summary>
internal static class StepFunction
{
    /// <summary>1 where tau is above 0, else 0; backward, the derivative of sigmoid(tau / temperature).</summary>
    public static Tensor Apply(Tensor tau, double temperature)
    {
        using var scope = NewDisposeScope();
        Tensor soft = (tau / temperature).sigmoid();
        Tensor hard = tau.gt(0).to_type(tau.dtype).detach();
        return (hard + (soft - soft.detach())).MoveToOuterDisposeScope();
    }
}
