using Lab.Models;
using Lab.SparseTraining.Training;
using static TorchSharp.torch;

namespace Lab.SparseTraining.Tests.Training;

public sealed class EvaluationTapTests : IDisposable
{
    private readonly TinyTraining _tiny = new();
    private readonly SparseTrainer _trainer;

    public EvaluationTapTests() => _trainer = _tiny.Start(config: _tiny.Config with { NLayers = 2 });

    public void Dispose()
    {
        _trainer.Dispose();
        _tiny.Dispose();
    }

    [Fact]
    public void ResidualKurtosis_HandSizedRows_IsTheMeanOfTheirFourthMomentsOverSquaredVariances()
    {
        using EvaluationTap tap = new(_trainer.Model);
        using var scope = NewDisposeScope();

        // Two values, half each: 1. One of four apart: m2 = 3/16 x d^2, m4 = (81 + 3) / 1024 x d^4, so 7/3. All equal: 0.
        Tensor x = tensor(new float[] { 1, -1, 1, -1, 5, 1, 1, 1, 2, 2, 2, 2 }, [1, 3, 4]);
        tap.At(Last.ResidPost, x).ShouldBeSameAs(x);
        tap.At(Last.ResidPost, tensor(new float[] { 7, 9, 9, 7 }, [1, 1, 4]));

        tap.ToEvaluation(0).ResidualKurtosis.ShouldBe((1 + 7.0 / 3 + 0 + 1) / 4, 1e-12);
    }

    [Fact]
    public void DeadNeurons_ZeroAtEveryPositionOfEveryBatch_AreCountedByLayer()
    {
        using EvaluationTap tap = new(_trainer.Model);
        using var scope = NewDisposeScope();
        tap.At(First.MlpPost, Neurons(3));
        tap.At(First.MlpPost, Neurons(3, 5));
        tap.At(Last.MlpPost, Neurons());
        tap.At(Last.ResidPost, ones(1, 1, 32));

        HeldOutEvaluation evaluation = tap.ToEvaluation(1.5);

        evaluation.Loss.ShouldBe(1.5);
        evaluation.DeadNeurons.ShouldBe([62, 64]);
        evaluation.ActivationFractions.ShouldBe(new Dictionary<string, double> { ["mlp_post"] = 3.0 / (3 * 64) }, ignoreOrder: true);
    }

    [Fact]
    public void Evaluate_SparseModel_FindsTheFractionsThatItsSitesAreSetTo()
    {
        HeldOutEvaluation evaluation = _trainer.Evaluate(TestContext.Current.CancellationToken);

        foreach (string site in (string[])["attn_read", "attn_out", "mlp_read", "mlp_out"]) evaluation.ActivationFractions[site].ShouldBe(0.5, 1e-6, site);
        evaluation.DeadNeurons.Count.ShouldBe(2);
        evaluation.ResidualKurtosis.ShouldBeInRange(1, 32);
    }

    private BlockHooks First => _trainer.Model.Hooks.Blocks[0];

    private BlockHooks Last => _trainer.Model.Hooks.Blocks[1];

    private static Tensor Neurons(params long[] alive)
    {
        Tensor x = zeros(1, 1, 64);
        foreach (long neuron in alive) x[0, 0, neuron] = -0.5f;
        return x;
    }
}
