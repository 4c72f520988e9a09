using TorchSharp;
using static TorchSharp.torch;

namespace Lab.Models.Tests.Gradients;

/// <summary>
/// Adds a multiple of a fixed random direction to the activation at one hook, after another tap's changes; of a pass with a twin to
/// its second half.
/// </summary>
internal sealed class PerturbingTap(string hook, double step, int[] lengths, IActivationTap? others = null, bool hasTwin = false) : IActivationTap, IDisposable
{
    /// <summary>The direction, once the pass was there: of the activation's shape, zero in padding and where no attention can be.</summary>
    public Tensor? Direction { get; private set; }

    public bool Wants(HookPoint point) => point.Name == hook || others?.Wants(point) == true;

    public Tensor At(HookPoint point, Tensor x)
    {
        if (others?.Wants(point) == true) x = others.At(point, x);
        if (point.Name != hook) return x;
        using var scope = NewDisposeScope();
        using Generator generator = new(11);
        Tensor direction = randn([lengths.Length, .. x.shape[1..]], ScalarType.Float64, generator: generator);
        bool isAttention = point.Dimensions.Contains(HookDimension.KeyPos);
        if (isAttention) direction = direction.masked_fill(x.narrow(0, 0, lengths.Length).isinf().logical_or(x.narrow(0, 0, lengths.Length).eq(0)), 0);
        for (int row = 0; row < lengths.Length; row++)
        {
            int dimension = isAttention ? 1 : 0;
            long padding = x.shape[dimension + 1] - lengths[row];
            if (padding > 0) direction[row].narrow(dimension, lengths[row], padding).zero_();
        }

        Direction?.Dispose();
        Direction = direction.DetachFromDisposeScope();
        return (x + ((hasTwin ? cat([zeros_like(direction), direction], 0) : direction) * step)).MoveToOuterDisposeScope();
    }

    public void Dispose() => Direction?.Dispose();
}
