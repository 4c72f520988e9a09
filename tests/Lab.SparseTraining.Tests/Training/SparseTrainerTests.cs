using Lab.Models;
using Lab.SparseTraining.Training;
using Lab.Testing;
using TorchSharp;
using static TorchSharp.torch;

namespace Lab.SparseTraining.Tests.Training;

public sealed class SparseTrainerTests : IDisposable
{
    private readonly TinyTraining _tiny = new();

    public void Dispose() => _tiny.Dispose();

    [Fact]
    public void Step_EveryStep_HasExactlyTheScheduledNonzerosAndTheFloor()
    {
        using SparseTrainer trainer = _tiny.Start();
        TrainingSchedule schedule = new(_tiny.Recipe);
        for (int step = 0; step < 20; step++)
        {
            trainer.Step();
            using var scope = NewDisposeScope();
            Tensor fc = Parameter(trainer, "transformer.h.0.mlp.c_fc.weight");
            fc.count_nonzero().item<long>().ShouldBe((long)(schedule.WeightDensity(step) * fc.numel()));
            fc.ne(0).sum(1, type: ScalarType.Int64).min().item<long>().ShouldBeGreaterThanOrEqualTo(4);
            Parameter(trainer, "transformer.h.0.mlp.c_proj.weight").ne(0).sum(0, type: ScalarType.Int64).min().item<long>().ShouldBeGreaterThanOrEqualTo(4);
            Tensor embedding = Parameter(trainer, "transformer.wte.weight");
            embedding.count_nonzero().item<long>().ShouldBe((long)(schedule.EmbeddingDensity(step, 0.3) * embedding.numel()));
        }

        using var end = NewDisposeScope();
        Parameter(trainer, "transformer.h.0.attn.c_attn.bias").count_nonzero().item<long>().ShouldBe(48);
        Parameter(trainer, "transformer.ln_f.weight").ne(0).all().item<bool>().ShouldBeTrue();
    }

    [Fact]
    public void Step_SparseFromTheStart_LetsZeroedWeightsComeBack()
    {
        using SparseTrainer trainer = _tiny.Start(_tiny.Recipe with { AnnealEndFraction = 0, WarmupFraction = 0, LearningRate = 0.05 });
        trainer.Step();
        using var scope = NewDisposeScope();
        Tensor before = Parameter(trainer, "transformer.h.0.mlp.c_fc.weight").ne(0);
        for (int step = 0; step < 15; step++) trainer.Step();
        Tensor after = Parameter(trainer, "transformer.h.0.mlp.c_fc.weight").ne(0);
        after.logical_and(before.logical_not()).any().item<bool>().ShouldBeTrue();
    }

    [Fact]
    public void Step_ManySteps_LowersTheHeldOutLoss()
    {
        using SparseTrainer trainer = _tiny.Start(_tiny.Recipe with { Steps = 60, LearningRate = 0.03 });
        double before = trainer.Evaluate(TestContext.Current.CancellationToken).Loss;
        for (int step = 0; step < 60; step++) trainer.Step();
        trainer.Evaluate(TestContext.Current.CancellationToken).Loss.ShouldBeLessThan(before - 1);
    }

    [Fact]
    public void Checkpoint_RestoredHalfway_ContinuesBitForBit()
    {
        using TemporaryFolder folder = new();
        using SparseTrainer whole = _tiny.Start();
        TrainingCurve wholeCurve = Run(whole, new TrainingCurve(20), 20);

        using SparseTrainer first = _tiny.Start();
        TinyTraining.Save(folder["c"], first, Run(first, new TrainingCurve(20), 11));
        using SparseTrainer second = _tiny.Start(seed: 1);
        TrainingCurve curve = new(20);
        TrainingCheckpoint.Restore(folder["c"], second, curve);
        second.StepsTaken.ShouldBe(11);
        Run(second, curve, 9);

        foreach ((NamedParameter expected, NamedParameter actual) in whole.Model.Weights.All.Zip(second.Model.Weights.All))
        {
            actual.Value.HasSameElements(expected.Value).ShouldBeTrue(expected.Name);
        }

        curve.Points.ShouldBe(wholeCurve.Points);
    }

    [Fact]
    public void Checkpoint_FlippedByte_IsRefusedByName()
    {
        using TemporaryFolder folder = new();
        using SparseTrainer trainer = _tiny.Start();
        trainer.Step();
        TinyTraining.Save(folder["c"], trainer, new TrainingCurve(20));
        string path = Directory.GetFiles(folder.Path).Single();
        byte[] bytes = File.ReadAllBytes(path);
        bytes[^5] ^= 0x10;
        File.WriteAllBytes(path, bytes);
        Should.Throw<InvalidDataException>(() => TrainingCheckpoint.Restore(folder["c"], trainer, new TrainingCurve(20))).Message.ShouldContain(path);
    }

    [Fact]
    public void Step_ManySteps_LeaksNoTensor()
    {
        using SparseTrainer trainer = _tiny.Start();
        trainer.Step();
        DisposeScopeManager.Statistics.Reset();
        for (int step = 0; step < 10; step++) trainer.Step();
        DisposeScopeManager.Statistics.ThreadTotalLiveCount.ShouldBe(0);
    }

    [Fact]
    public void Constructor_FractionBelowTheFloor_NamesTheField() =>
        Should.Throw<ArgumentException>(() => _tiny.Start(_tiny.Recipe with { WeightFraction = 0.01 })).ParamName.ShouldBe("config.recipe.weight_fraction");

    private static TrainingCurve Run(SparseTrainer trainer, TrainingCurve curve, int steps)
    {
        for (int i = 0; i < steps; i++)
        {
            StepResult result = trainer.Step();
            curve.Add(result, null, () => trainer.L0Fraction);
        }

        return curve;
    }

    private static Tensor Parameter(SparseTrainer trainer, string name) => trainer.Model.Weights.All.Single(parameter => parameter.Name == name).Value;
}
