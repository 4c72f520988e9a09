using Proto = Lab.Protos.SparseTraining.V1;

namespace Lab.SparseTraining.Training;

/// <summary>
/// A loss curve of bounded length: training losses are averaged over stretches of equal length, held-out losses are all
/// kept where they were measured, until there are too many points: then those that lie closest together go. With it, the history of
/// evaluations. A pure function of the steps, so that a resumed run has the curve of an uninterrupted one.
/// </summary>
internal sealed class TrainingCurve(long steps)
{
    /// <summary>The most points, and the most evaluations.</summary>
    public const int MaxPoints = 512;

    private const int Stretches = 256;
    private readonly long _stretch = Math.Max(1, steps / Stretches);
    private readonly List<Proto.TrainingPoint> _points = [];
    private readonly List<Proto.TrainingEvaluation> _evaluations = [];
    private double _sum;
    private int _count;
    private double _gradientRms;

    public IReadOnlyList<Proto.TrainingPoint> Points => _points;

    public IReadOnlyList<Proto.TrainingEvaluation> Evaluations => _evaluations;

    /// <summary>Losses since the last point and the last gradient's RMS, to be stored with a checkpoint.</summary>
    public CurveTail Tail => new(_sum, _count, _gradientRms);

    public void Restore(IEnumerable<Proto.TrainingPoint> points, IEnumerable<Proto.TrainingEvaluation> evaluations, CurveTail tail)
    {
        _points.AddRange(points);
        _evaluations.AddRange(evaluations);
        (_sum, _count, _gradientRms) = tail;
    }

    /// <summary>Adds a step. A point results at the end of a stretch and wherever the held-out loss was measured.</summary>
    public bool Add(StepResult result, Proto.TrainingEvaluation? evaluation, Func<double> l0Fraction)
    {
        _sum += result.Loss;
        _count++;
        _gradientRms = result.GradientRms;
        if (evaluation is null && result.Step % _stretch != 0) return false;
        AddPoint(result.Step, _sum / _count, evaluation, l0Fraction());
        (_sum, _count) = (0, 0);
        return true;
    }

    /// <summary>Adds an evaluation of the model after the last step, which was added without one.</summary>
    public void AddEvaluation(long step, Proto.TrainingEvaluation evaluation, double l0Fraction)
    {
        bool hasPoint = _points is [.., { } last] && last.Step == step;
        double loss = _count > 0 ? _sum / _count : hasPoint ? _points[^1].Loss : 0;
        if (hasPoint) _points.RemoveAt(_points.Count - 1);
        AddPoint(step, loss, evaluation, l0Fraction);
        (_sum, _count) = (0, 0);
    }

    /// <summary>Makes room for one more: what goes is the item without which the gap between its neighbours is smallest.</summary>
    private static void Thin<T>(List<T> items, Func<T, long> stepOf)
    {
        if (items.Count < MaxPoints) return;
        int least = 1;
        for (int i = 2; i < items.Count - 1; i++)
        {
            if (Gap(i) < Gap(least)) least = i;
        }

        items.RemoveAt(least);

        long Gap(int index) => stepOf(items[index + 1]) - stepOf(items[index - 1]);
    }

    private void AddPoint(long step, double loss, Proto.TrainingEvaluation? evaluation, double l0Fraction)
    {
        Proto.TrainingPoint point = new() { Step = step, Loss = loss, L0Fraction = l0Fraction };
        Thin(_points, item => item.Step);
        _points.Add(point);
        if (evaluation is null) return;
        point.HeldOutLoss = evaluation.HeldOutLoss;
        evaluation.Loss = loss;
        evaluation.GradientRms = _gradientRms;
        Thin(_evaluations, item => item.Step);
        _evaluations.Add(evaluation);
    }
}
