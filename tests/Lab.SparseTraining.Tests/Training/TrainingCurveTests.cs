using Lab.Protos.SparseTraining.V1;
using Lab.SparseTraining.Training;

namespace Lab.SparseTraining.Tests.Training;

public sealed class TrainingCurveTests
{
    [Fact]
    public void Add_EvaluationAtEachOfManySteps_StaysBoundedAndKeepsFirstAndNewest()
    {
        TrainingCurve curve = new(5000);
        for (long step = 1; step <= 5000; step++)
        {
            curve.Add(new StepResult(step, Loss: 1, GradientRms: step), new TrainingEvaluation { Step = step, HeldOutLoss = 2 }, () => 0.5).ShouldBeTrue();
            curve.Points.Count.ShouldBeInRange(1, TrainingCurve.MaxPoints);
            curve.Evaluations.Count.ShouldBeInRange(1, TrainingCurve.MaxPoints);
            curve.Points[^1].Step.ShouldBe(step);
            curve.Evaluations[^1].GradientRms.ShouldBe(step);
        }

        curve.Points.Select(point => point.Step).ShouldBeInOrder();
        curve.Points.Count.ShouldBe(TrainingCurve.MaxPoints);
        // Spread over the whole, not only its end.
        curve.Points[0].Step.ShouldBe(1);
        curve.Points.Zip(curve.Points.Skip(1), (a, b) => b.Step - a.Step).Max().ShouldBeLessThanOrEqualTo(16);
    }

    [Fact]
    public void AddEvaluation_AfterTheLastStep_ClosesItsStretchOnce()
    {
        TrainingCurve curve = new(2560);
        for (long step = 1; step <= 20; step++) curve.Add(new StepResult(step, Loss: step, GradientRms: 3), null, () => 1);
        curve.Add(new StepResult(21, Loss: 21, GradientRms: 4), null, () => 1).ShouldBeFalse();

        curve.AddEvaluation(21, new TrainingEvaluation { Step = 21, HeldOutLoss = 7 }, 0.25);

        curve.Points.Select(point => (point.Step, point.Loss)).ShouldBe([(10, 5.5), (20, 15.5), (21, 21)]);
        curve.Points[^1].HeldOutLoss.ShouldBe(7);
        curve.Evaluations.Single().ShouldBe(new TrainingEvaluation { Step = 21, HeldOutLoss = 7, Loss = 21, GradientRms = 4 });
    }

    [Fact]
    public void AddEvaluation_AtAPoint_TakesItsPlace()
    {
        TrainingCurve curve = new(2560);
        for (long step = 1; step <= 20; step++) curve.Add(new StepResult(step, Loss: step, GradientRms: 3), null, () => 1);

        curve.AddEvaluation(20, new TrainingEvaluation { Step = 20, HeldOutLoss = 7 }, 0.25);

        curve.Points.Select(point => (point.Step, point.Loss, point.L0Fraction)).ShouldBe([(10, 5.5, 1), (20, 15.5, 0.25)]);
    }
}
