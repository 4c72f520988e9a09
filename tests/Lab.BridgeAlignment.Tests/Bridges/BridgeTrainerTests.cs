using Lab.BridgeAlignment.Bridges;
using Lab.Models;
using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.BridgeAlignment.Tests.Bridges;

public sealed class BridgeTrainerTests
{
    private static readonly BridgeShape Shape = new(["a", "b"], DenseWidth: 5, SparseWidth: 8, ActivationFraction: 0.5);

    [Fact]
    public void Train_SeveralSteps_EqualsAutogradAndAdam()
    {
        using var scope = NewDisposeScope();
        using Bridge bridge = Bridge.Zero(Shape, CPU), reference = Bridge.Zero(Shape, CPU);
        using BridgeTrainer trainer = new(bridge, steps: 10, learningRate: 0.01);
        trainer.Begin(Residuals(50, Shape.DenseWidth), Residuals(150, Shape.SparseWidth));
        TextbookAdam adam = new(reference.Parameters.Zip(bridge.Parameters, (copy, started) =>
        {
            _ = copy.Value.copy_(started.Value);
            return (copy.Value, Scale: ScaleOf(copy.Name));
        }));

        for (int step = 0; step < 4; step++)
        {
            HostTensor[] dense = Residuals(step, Shape.DenseWidth), sparse = Residuals(step + 100, Shape.SparseWidth);
            double loss = trainer.Train(dense, sparse);
            Tensor expected = AutogradLoss(reference, dense, sparse);
            expected.backward();
            adam.Step(0.01 * (1 - step / 10.0));
            loss.ShouldBe(expected.item<float>(), 1e-4);
        }

        foreach ((NamedParameter actual, NamedParameter wanted) in bridge.Parameters.Zip(reference.Parameters))
            (actual.Value - wanted.Value).abs().max().item<float>().ShouldBeLessThan(1e-5f, actual.Name);
    }

    [Fact]
    public void Begin_LinearTruth_IsFoundAtOnceWhateverItsScale()
    {
        using var scope = NewDisposeScope();
        BridgeShape shape = new(["a"], DenseWidth: 6, SparseWidth: 6, ActivationFraction: 1);
        using Generator generator = new(7);
        Tensor dense = randn(4, 16, 6, generator: generator) + 3;
        Tensor sparse = (dense.matmul(eye(6) + (randn(6, 6, generator: generator) * 0.2)) * 1000) - 5;
        using Bridge bridge = Bridge.Zero(shape, CPU);
        using BridgeTrainer trainer = new(bridge, steps: 1, learningRate: 1e-9);

        trainer.Train([dense.ToHost("a")], [sparse.ToHost("a")]).ShouldBeLessThan(1e-6);
    }

    [Fact]
    public void Train_TruthThatTheFirstBatchHides_IsLearned()
    {
        using var scope = NewDisposeScope();
        BridgeShape shape = new(["a"], DenseWidth: 6, SparseWidth: 6, ActivationFraction: 1);
        using Generator generator = new(7);
        Tensor truth = eye(6) + (randn(6, 6, generator: generator) * 0.2);
        using Bridge bridge = Bridge.Zero(shape, CPU);
        using BridgeTrainer trainer = new(bridge, steps: 600, learningRate: 0.02);
        trainer.Begin([randn(4, 16, 6, generator: generator).ToHost("a")], [randn(4, 16, 6, generator: generator).ToHost("a")]);
        double first = 0, last = 0;
        for (int step = 0; step < 600; step++)
        {
            using var inner = NewDisposeScope();
            Tensor dense = randn(4, 16, 6, generator: generator);
            last = trainer.Train([dense.ToHost("a")], [(dense.matmul(truth) + 1).ToHost("a")]);
            if (step == 0) first = last;
        }

        first.ShouldBeGreaterThan(1);
        last.ShouldBeLessThan(1e-4);
    }

    [Fact]
    public void Train_ResidualNotFinite_NamesSiteAndStep()
    {
        using Bridge bridge = Bridge.Zero(Shape, CPU);
        using BridgeTrainer trainer = new(bridge, steps: 10, learningRate: 0.01);
        trainer.Begin(Residuals(0, Shape.DenseWidth), Residuals(1, Shape.SparseWidth));

        InvalidDataException e = Should.Throw<InvalidDataException>(() => trainer.Train(Residuals(0, Shape.DenseWidth), Filled(float.NaN)));

        e.Message.ShouldContain("at b");
        e.Message.ShouldContain("step 1");
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(2)]
    public void Begin_ResidualNotFiniteOrConstant_NamesSite(float value)
    {
        using Bridge bridge = Bridge.Zero(Shape, CPU);
        using BridgeTrainer trainer = new(bridge, steps: 10, learningRate: 0.01);

        Should.Throw<InvalidDataException>(() => trainer.Begin(Residuals(0, Shape.DenseWidth), Filled(value))).Message.ShouldContain("at b");
    }

    [Fact]
    public void Train_Repeated_LeavesNoTensors()
    {
        using Bridge bridge = Bridge.Zero(Shape, CPU);
        using BridgeTrainer trainer = new(bridge, steps: 10, learningRate: 0.01);
        HostTensor[] dense = Residuals(0, Shape.DenseWidth), sparse = Residuals(1, Shape.SparseWidth);
        using var scope = NewDisposeScope();
        _ = trainer.Train(dense, sparse);
        int before = scope.DisposablesCount;

        for (int step = 0; step < 3; step++) _ = trainer.Train(dense, sparse);

        scope.DisposablesCount.ShouldBe(before);
        before.ShouldBe(0);
    }

    /// <summary>Sparse residuals with one value all over the second site.</summary>
    private static HostTensor[] Filled(float value)
    {
        HostTensor[] sparse = Residuals(1, Shape.SparseWidth);
        sparse[1] = HostTensor.FromFloats("b", [.. Enumerable.Repeat(value, (int)sparse[1].ElementCount)], sparse[1].Shape);
        return sparse;
    }

    /// <summary>What a parameter's steps are multiplied by: the RMS of the first targets over that of the first inputs.</summary>
    private static float ScaleOf(string name)
    {
        int site = name.Contains(".a.", StringComparison.Ordinal) ? 0 : 1;
        double dense = Rms(Residuals(50, Shape.DenseWidth)[site]), sparse = Rms(Residuals(150, Shape.SparseWidth)[site]);
        (double input, double target) = name.StartsWith("encoder", StringComparison.Ordinal) ? (dense, sparse) : (sparse, dense);
        return (float)(name.EndsWith("bias", StringComparison.Ordinal) ? target : target / input);
    }

    private static double Rms(HostTensor x) => Math.Sqrt(x.Floats.ToArray().Average(value => (double)value * value));

    private static HostTensor[] Residuals(int seed, int width)
    {
        using var scope = NewDisposeScope();
        using Generator generator = new((ulong)seed);
        return [.. Shape.Sites.Select(site => (randn(2, 3, width, generator: generator) * width).ToHost(site))];
    }

    private static Tensor AutogradLoss(Bridge bridge, HostTensor[] dense, HostTensor[] sparse)
    {
        Tensor loss = zeros([]);
        for (int site = 0; site < bridge.Sites.Count; site++)
        {
            Tensor d = dense[site].ToTorch().flatten(0, 1), s = sparse[site].ToTorch().flatten(0, 1);
            loss = loss + ((bridge.Encode(site, d) - s).square().sum() / (s - s.mean([0])).square().sum());
            loss = loss + ((bridge.Decode(site, s) - d).square().sum() / (d - d.mean([0])).square().sum());
        }

        return loss;
    }

    /// <summary>Kingma and Ba 2015, algorithm 1, line by line.</summary>
    private sealed class TextbookAdam
    {
        private readonly (Tensor Parameter, float Scale, Tensor M, Tensor V)[] _state;
        private int _t;

        public TextbookAdam(IEnumerable<(Tensor Parameter, float Scale)> parameters)
        {
            _state = [.. parameters.Select(item => (item.Parameter, item.Scale, zeros_like(item.Parameter), zeros_like(item.Parameter)))];
            foreach (var (parameter, _, _, _) in _state) parameter.requires_grad = true;
        }

        public void Step(double rate)
        {
            using var noGrad = no_grad();
            _t++;
            foreach (var (parameter, scale, m, v) in _state)
            {
                Tensor gradient = parameter.grad!;
                _ = m.mul_(0.9).add_(gradient * 0.1);
                _ = v.mul_(0.999).add_(gradient.square() * 0.001);
                Tensor mHat = m / (1 - Math.Pow(0.9, _t)), vHat = v / (1 - Math.Pow(0.999, _t));
                _ = parameter.sub_(mHat / (vHat.sqrt() + 1e-8) * rate * scale);
                parameter.grad = null;
            }
        }
    }
}
