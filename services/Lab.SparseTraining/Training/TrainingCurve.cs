using Proto = Lab.Protos.SparseTraining.V1;

namespace Lab.SparseTraining.Training;

/// <summary>
/// A loss curve of bounded length: training losses are averaged over stretches of equal length, held-out losses are all
/// kept where they were measured. A pure function of the steps, so that a resumed run has the curve of an uninterrupted one.
/// </summary>
internal sealed class TrainingCurve(long steps)
{
    private const int Stretches = 256;
    private readonly long _stretch = Math.Max(1, steps / Stretches);
    private readonly List<Proto.TrainingPoint> _points = [];
    private double _sum;
    private int _count;

    public IReadOnlyList<Proto.TrainingPoint> Points => _points;

    /// <summary>Losses since the last point, to be stored with a checkpoint.</summary>
    public (double Sum, int Count) Pending => (_sum, _count);

    public void Restore(IEnumerable<Proto.TrainingPoint> points, double sum, int count)
    {
        _points.AddRange(points);
        (_sum, _count) = (sum, count);
    }

    /// <summary>Adds a step. A point results at the end of a stretch and wherever the held-out loss was measured.</summary>
    public bool Add(long step, double loss, double? heldOutLoss, Func<double> l0Fraction)
    {
        _sum += loss;
        _count++;
        if (heldOutLoss is null && step % _stretch != 0) return false;
        Proto.TrainingPoint point = new() { Step = step, Loss = _sum / _count, L0Fraction = l0Fraction() };
        if (heldOutLoss is { } value) point.HeldOutLoss = value;
        _points.Add(point);
        (_sum, _count) = (0, 0);
        return true;
    }
}
