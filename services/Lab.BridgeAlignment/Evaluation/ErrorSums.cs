using static TorchSharp.torch;

namespace Lab.BridgeAlignment.Evaluation;

/// <summary>The sums behind the NMSE of one map over many batches, in double precision.</summary>
/// <param name="channels">Channels of the target.</param>
internal sealed class ErrorSums(int channels)
{
    private readonly double[] _sums = new double[channels];
    private double _squares;
    private double _squaredError;
    private long _tokens;

    /// <summary>Squared error over squared distance from the mean.</summary>
    public double Nmse => _squaredError / (_squares - _sums.Sum(sum => sum * sum) / _tokens);

    /// <summary>The target's mean over all tokens, [channels].</summary>
    public float[] Mean => [.. _sums.Select(sum => (float)(sum / _tokens))];

    /// <summary>Adds a batch, [tokens, channels] each.</summary>
    public void Add(Tensor prediction, Tensor target)
    {
        using var scope = NewDisposeScope();
        Tensor exact = target.to(ScalarType.Float64);
        ReadOnlySpan<double> sums = exact.sum([0]).cpu().data<double>().ToArray();
        for (int channel = 0; channel < _sums.Length; channel++) _sums[channel] += sums[channel];
        _squares += exact.square().sum().item<double>();
        _squaredError += (exact - prediction).square().sum().item<double>();
        _tokens += target.shape[0];
    }
}
