using TorchSharp;
using static TorchSharp.torch;

namespace Lab.SparseTraining.Training;

/// <summary>
/// The machine's rate of dense FP32 matrix products, which model FLOP/s are compared with: the best of several products of
/// square matrices, measured once a process. Too low if the machine was busy just then.
/// </summary>
internal sealed class MatmulPeak(TimeProvider time)
{
    private const int Size = 1024;
    private const int Products = 8;
    private readonly Lock _lock = new();
    private double _flopsPerSecond;

    /// <summary>Floating point operations per second, a multiplication and an addition being two. Takes about 0.2 s at the first call.</summary>
    public double FlopsPerSecond
    {
        get
        {
            lock (_lock)
            {
                if (_flopsPerSecond == 0) _flopsPerSecond = Measure();
                return _flopsPerSecond;
            }
        }
    }

    private double Measure()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor left = ones(Size, Size), right = ones(Size, Size), product = matmul(left, right);
        double best = double.PositiveInfinity;
        for (int i = 0; i < Products; i++)
        {
            long start = time.GetTimestamp();
            left.addmm_(right, product, beta: 0);
            best = Math.Min(best, time.GetElapsedTime(start).TotalSeconds);
        }

        return 2.0 * Size * Size * Size / best;
    }
}
