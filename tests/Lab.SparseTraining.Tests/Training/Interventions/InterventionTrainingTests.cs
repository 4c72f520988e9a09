using Lab.Models;
using Lab.Models.Interventions;
using Lab.SparseTraining.Training;
using Lab.SparseTraining.Training.Interventions;
using Lab.Tensors;
using Lab.Testing;
using TorchSharp;
using static TorchSharp.torch;

namespace Lab.SparseTraining.Tests.Training.Interventions;

public sealed class InterventionTrainingTests : IDisposable
{
    private const string Hook = "blocks.0.hook_mlp_out";

    private readonly TinyTraining _tiny = new();

    public void Dispose() => _tiny.Dispose();

    [Fact]
    public void Step_StrengthZero_ChangesNoBit()
    {
        using SparseTrainer plain = _tiny.Start();
        using SparseTrainer idle = _tiny.Start(interventions:
        [
            Rule(new InterventionOperation.Add(Vector(1), 0, StrengthUnit.ResidualNorm)),
            Rule(new InterventionOperation.Scale(1)),
            Rule(new InterventionOperation.Zero()) with { Fraction = 0 },
        ]);

        Run(idle, 12).ShouldBe(Run(plain, 12));
        ShouldHaveEqualWeights(idle, plain);
    }

    [Fact]
    public void Step_ConstantVectorOnAllSequences_IsTrainingAModelWithThatVectorAdded()
    {
        // Without AbsTopK what the MLP writes has the bias added as it is; a bias that is neither sparse nor decayed stays apart by the vector.
        TransformerConfig config = _tiny.Config with { ActivationFraction = 1 };
        TrainingRecipe recipe = _tiny.Recipe with { BiasFraction = 1, WeightFraction = 1, EmbeddingFraction = 1 };
        HostTensor vector = Vector(7);
        using SparseTrainer intervened = _tiny.Start(recipe, interventions: [Rule(new InterventionOperation.Add(vector, 2))], config: config);
        using SparseTrainer biased = _tiny.Start(recipe, config: config);
        using SparseTrainer plain = _tiny.Start(recipe, config: config);
        using (no_grad())
        {
            Bias(biased).add_(vector.ToTorch() * 2);
        }

        double[] losses = Run(intervened, 10), expected = Run(biased, 10);

        for (int i = 0; i < losses.Length; i++) losses[i].ShouldBe(expected[i], 2e-4);
        Math.Abs(Run(plain, 10)[^1] - expected[^1]).ShouldBeGreaterThan(1e-2);
        using var scope = NewDisposeScope();
        (Bias(biased) - Bias(intervened) - (vector.ToTorch() * 2)).abs().max().item<float>().ShouldBeLessThan(1e-3f);
    }

    [Fact]
    public void Checkpoint_RestoredUnderInterventions_ContinuesBitForBit()
    {
        InterventionRule[] rules = [Drawn(0.5), Rule(new InterventionOperation.Noise(0.3f, 5)) with { Fraction = 0.7 }];
        using TemporaryFolder folder = new();
        using SparseTrainer whole = _tiny.Start(interventions: rules);
        double[] losses = Run(whole, 20);

        using SparseTrainer first = _tiny.Start(interventions: rules);
        Run(first, 9);
        TinyTraining.Save(folder["c"], first, new TrainingCurve(20));
        using SparseTrainer second = _tiny.Start(interventions: rules);
        TrainingCheckpoint.Restore(folder["c"], second, new TrainingCurve(20));

        Run(second, 11).ShouldBe(losses[9..]);
        ShouldHaveEqualWeights(second, whole);
        using SparseTrainer plain = _tiny.Start();
        Run(plain, 20).ShouldNotBe(losses);
    }

    [Fact]
    public void Evaluate_UnderInterventions_LeavesTheLossWithoutThem()
    {
        CancellationToken ct = TestContext.Current.CancellationToken;
        using SparseTrainer plain = _tiny.Start();
        using SparseTrainer intervened = _tiny.Start(interventions: [Rule(new InterventionOperation.Add(Vector(3), 20))]);

        intervened.Evaluate(ct).Loss.ShouldBe(plain.Evaluate(ct).Loss);
        Math.Abs(intervened.EvaluateIntervened(ct)!.Value - plain.Evaluate(ct).Loss).ShouldBeGreaterThan(1e-3);
        intervened.EvaluateIntervened(ct).ShouldBe(intervened.EvaluateIntervened(ct));
        intervened.Interventions!.Counts.ShouldBe((0, 0));
        plain.EvaluateIntervened(ct).ShouldBeNull();
    }

    [Fact]
    public void Step_UnderInterventions_LeaksNoTensor()
    {
        using SparseTrainer trainer = _tiny.Start(interventions: [Drawn(0.5)]);
        trainer.Step();
        DisposeScopeManager.Statistics.Reset();
        for (int step = 0; step < 10; step++) trainer.Step();
        DisposeScopeManager.Statistics.ThreadTotalLiveCount.ShouldBe(0);
    }

    private static InterventionRule Rule(InterventionOperation operation) => new(new Intervention(new ActivationSelector(Hook), operation));

    private static InterventionRule Drawn(double fraction) => Rule(new InterventionOperation.Add(Vector(0), 0.5f, StrengthUnit.ResidualNorm)) with
    {
        Fraction = fraction,
        Vectors = [.. Enumerable.Range(1, 3).Select(Vector)],
    };

    private static HostTensor Vector(int seed) => HostTensor.FromFloats($"v{seed}", [.. Enumerable.Range(0, 32).Select(i => MathF.Sin((i + 1) * (seed + 0.7f)))], 32);

    private static Tensor Bias(SparseTrainer trainer) => trainer.Model.Weights.All.Single(parameter => parameter.Name == "transformer.h.0.mlp.c_proj.bias").Value;

    private static double[] Run(SparseTrainer trainer, int steps) => [.. Enumerable.Range(0, steps).Select(_ => trainer.Step().Loss)];

    private static void ShouldHaveEqualWeights(SparseTrainer actual, SparseTrainer expected)
    {
        foreach ((NamedParameter one, NamedParameter other) in actual.Model.Weights.All.Zip(expected.Model.Weights.All)) one.Value.HasSameElements(other.Value).ShouldBeTrue(one.Name);
    }
}
