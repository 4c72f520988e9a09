using Lab.Models;
using Lab.SparseTraining.Training;
using Lab.Testing;
using TorchSharp;
using static TorchSharp.torch;

namespace Lab.SparseTraining.Tests.Training;

public sealed class SparseOptimizerTests
{
    private static readonly TransformerConfig Config = new() { NLayers = 1, DModel = 16, NHeads = 2, DHead = 8, DMlp = 32, DVocab = 40, NCtx = 8 };

    [Theory]
    [InlineData(float.NaN, 1.0)]
    [InlineData(float.PositiveInfinity, 0.25)]
    public void Step_GradientThatIsNotFinite_ThrowsAndChangesNothing(float bad, double weightFraction)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using TransformerWeights weights = TransformerWeights.Initialize(Config, seed: 1);
        using SparseOptimizer optimizer = new(weights, new TrainingRecipe { Steps = 10, BatchSize = 1, WeightFraction = weightFraction, WarmupFraction = 0 });
        foreach (NamedParameter parameter in weights.Trained) parameter.Value.grad = ones_like(parameter.Value);
        optimizer.Step(1);
        Tensor[] before = [.. State()];
        foreach (NamedParameter parameter in weights.Trained) parameter.Value.grad = ones_like(parameter.Value);
        weights.LnFinal.Gain.Value.grad![3] = bad;

        Should.Throw<ArithmeticException>(() => optimizer.Step(2));

        foreach ((Tensor expected, Tensor actual) in before.Zip(State())) actual.HasSameElements(expected).ShouldBeTrue();

        IEnumerable<Tensor> State() => optimizer.State.SelectMany(entry => new[] { entry.Parameter, entry.FirstMoment, entry.SecondMoment }).Select(tensor => tensor.clone());
    }
}
