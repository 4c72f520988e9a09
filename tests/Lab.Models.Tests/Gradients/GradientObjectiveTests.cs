using Lab.Models.Gradients;
using Lab.Models.Interventions;
using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.Models.Tests.Gradients;

/// <summary>Each objective's values and gradients at the logits, against what its formula gives by hand.</summary>
public sealed class GradientObjectiveTests : IDisposable
{
    private const string Logits = "unembed.hook_out";
    private static readonly int[][] _rows = [[3, 1, 4, 1, 5], [9, 2, 6]];
    private readonly Transformer _model = FamilyConfigs.New("llama");

    public void Dispose() => _model.Dispose();

    [Fact]
    public void CrossEntropy_Targets_IsMinusTheirLogProbabilities()
    {
        GradientObjective objective = new GradientObjective.CrossEntropy([new(0, -1, 7), new(0, 1, 2), new(0, 1, 3)], Reduction.Sum);

        Gradient gradient = Run(objective);

        double[] last = Probabilities(0, 4), second = Probabilities(0, 1);
        gradient.Result.Objectives[0].ShouldBe(-Math.Log(last[7]) - Math.Log(second[2]) - Math.Log(second[3]), 1e-12);
        gradient.Result.Objectives[1].ShouldBe(0);
        ShouldBe(gradient, 0, 4, token => last[token] - (token == 7 ? 1 : 0));
        ShouldBe(gradient, 0, 1, token => (2 * second[token]) - (token is 2 or 3 ? 1 : 0));
        ShouldBe(gradient, 0, 0, _ => 0);
        for (int position = 0; position < 5; position++) ShouldBe(gradient, 1, position, _ => 0);
    }

    [Fact]
    public void CrossEntropy_Mean_DividesByTheRowsOwnTargets()
    {
        Gradient mean = Run(new GradientObjective.CrossEntropy([], Reduction.Mean)), sum = Run(new GradientObjective.CrossEntropy([], Reduction.Sum));

        mean.Result.Objectives.ShouldBe([sum.Result.Objectives[0] / 4, sum.Result.Objectives[1] / 2], 1e-12);
        double[] expected = Probabilities(1, 1);
        ShouldBe(mean, 1, 1, token => (expected[token] - (token == 6 ? 1 : 0)) / 2);
        ShouldBe(mean, 1, 2, _ => 0);
    }

    [Fact]
    public void CrossEntropy_RowsOfOneToken_HaveNothingToPredict()
    {
        Gradient gradient = GradientTesting.Run(_model, [[1], [2]], GradientTesting.NextTokens, [GradientTesting.At("hook_embed"), new GradientTarget.Parameter("lm_head.weight")]);

        gradient.Result.Objectives.ShouldBe([0, 0]);
        gradient.Result.ZeroGradients.ShouldBe([0, 1]);
        gradient.Tensors.ShouldAllBe(tensor => tensor.Doubles().All(x => x == 0));
    }

    [Fact]
    public void LogitDifference_Pairs_AddUpByRow()
    {
        GradientObjective objective = new GradientObjective.LogitDifference([new(null, -1, 3, 5), new(1, 0, 8, null)]);

        Gradient gradient = Run(objective);

        double[] all = ForwardLogits();
        double At(int row, int position, int token) => all[(((row * 5) + position) * 17) + token];
        gradient.Result.Objectives[0].ShouldBe(At(0, 4, 3) - At(0, 4, 5), 1e-12);
        gradient.Result.Objectives[1].ShouldBe(At(1, 2, 3) - At(1, 2, 5) + At(1, 0, 8), 1e-12);
        ShouldBe(gradient, 0, 4, token => token == 3 ? 1 : token == 5 ? -1 : 0);
        ShouldBe(gradient, 1, 0, token => token == 8 ? 1 : 0);
        ShouldBe(gradient, 1, 1, _ => 0);
    }

    [Fact]
    public void KlToClean_IdenticalRun_IsZeroWithZeroGradient()
    {
        Gradient gradient = GradientTesting.Run(_model, _rows, new GradientObjective.KlToClean([], Reduction.Sum), [GradientTesting.At("hook_embed"), GradientTesting.At(Logits)]);

        gradient.Result.Objectives.ShouldAllBe(value => Math.Abs(value) < 1e-12);
        gradient.Tensors.ShouldAllBe(tensor => tensor.Doubles().All(x => Math.Abs(x) < 1e-12));
    }

    [Fact]
    public void KlToClean_InterventionAtTheLogits_IsTheDivergenceByHand()
    {
        HostTensor bias = HostTensor.FromFloats("", [.. Enumerable.Range(0, 17).Select(token => token / 8f)], 17);
        Intervention shift = new(new ActivationSelector(Logits) { Rows = [0], Positions = [-1] }, new InterventionOperation.Add(bias));

        Gradient gradient = GradientTesting.Run(_model, _rows, new GradientObjective.KlToClean([-1], Reduction.Mean), [GradientTesting.At(Logits)], shift);

        double[] clean = Probabilities(0, 4);
        double[] raised = [.. clean.Select((p, token) => p * Math.Exp(token / 8.0))];
        double[] changed = [.. raised.Select(p => p / raised.Sum())];
        gradient.Result.Objectives[0].ShouldBe(clean.Zip(changed).Sum(pair => pair.First * Math.Log(pair.First / pair.Second)), 1e-9);
        gradient.Result.Objectives[1].ShouldBe(0, 1e-12);
        ShouldBe(gradient, 0, 4, token => changed[token] - clean[token], 1e-9);
    }

    [Fact]
    public void Upstream_GradientOfALinearProbe_EqualsTheProbeInsideTheModel()
    {
        // A client's probe tanh(w x) of the middle of the model, differentiated through the layers before it.
        double[] activation = Captured("blocks.1.hook_resid_pre");
        double[] probe = [.. Enumerable.Range(0, 12).Select(i => Math.Sin(i + 1))];
        double[] given = new double[activation.Length];
        using var scope = NewDisposeScope();
        Tensor x = tensor(activation, dtype: ScalarType.Float64).view(2, 5, 12).requires_grad_(true);
        Tensor scores = x.matmul(tensor(probe, dtype: ScalarType.Float64)).tanh();
        Tensor valid = tensor(new double[] { 1, 1, 1, 1, 1, 1, 1, 1, 0, 0 }, dtype: ScalarType.Float64).view(2, 5);
        given = autograd.grad([(scores * valid).sum()], [x])[0].ToHost("").Doubles();

        Gradient chained = GradientTesting.Run(
            _model,
            _rows,
            new GradientObjective.Upstream([new(new ActivationSelector("blocks.1.hook_resid_pre"), GradientTesting.FromDoubles(given, 2, 5, 12))]),
            [GradientTesting.At("hook_embed"), GradientTesting.At("blocks.0.mlp.hook_post")]);

        ProbeTap tap = new(probe, valid);
        Tensor embedding = _model.Weights.TokenEmbedding.Value.index_select(0, tensor(new long[] { 3, 1, 4, 1, 5, 9, 2, 6, 0, 0 })).view(2, 5, 12).detach().requires_grad_(true);
        tap.Embedding = embedding;
        _model.Forward(tensor(new long[] { 3, 1, 4, 1, 5, 9, 2, 6, 0, 0 }, 2, 5), tap);
        double[] expected = autograd.grad([tap.Value!], [embedding])[0].ToHost("").Doubles();
        double[] actual = chained["grad/hook_embed"].Doubles();
        for (int i = 0; i < expected.Length; i++) actual[i].ShouldBe(expected[i], 1e-12);
        chained["grad/blocks.0.mlp.hook_post"].Doubles().ShouldContain(value => Math.Abs(value) > 1e-3);
    }

    [Fact]
    public void Upstream_AtTheLogits_IsTheChainRule()
    {
        // The gradient of the loss at the logits, handed back as the upstream gradient, gives the gradient of the loss.
        Gradient loss = GradientTesting.Run(_model, _rows, GradientTesting.NextTokens, [GradientTesting.At(Logits), GradientTesting.At("blocks.0.hook_resid_mid")]);

        Gradient chained = GradientTesting.Run(
            _model,
            _rows,
            new GradientObjective.Upstream([new(new ActivationSelector("logits"), loss[$"grad/{Logits}"])]),
            [GradientTesting.At("blocks.0.hook_resid_mid")]);

        double[] expected = loss["grad/blocks.0.hook_resid_mid"].Doubles(), actual = chained["grad/blocks.0.hook_resid_mid"].Doubles();
        for (int i = 0; i < expected.Length; i++) actual[i].ShouldBe(expected[i], 1e-12);
    }

    [Fact]
    public void Upstream_PartOfAHookInSomeRows_GivesTheRowsOwnValues()
    {
        ActivationSelector part = new("blocks.0.attn.hook_z") { Rows = [1, 0], Positions = [-1, 0, 0], Heads = [2], Channels = [3, 1] };
        double[] given = [.. Enumerable.Range(0, 12).Select(i => i - 4.5)];

        Gradient gradient = GradientTesting.Run(
            _model, _rows, new GradientObjective.Upstream([new(part, GradientTesting.FromDoubles(given, 2, 3, 1, 2))]), [GradientTesting.At("blocks.0.attn.hook_z")]);

        double[] z = Captured("blocks.0.attn.hook_z"), grad = gradient.Tensors[0].Doubles();
        (int Row, int[] Positions)[] places = [(1, [2, 0, 0]), (0, [4, 0, 0])];
        double[] values = new double[2], expected = new double[z.Length];
        for (int i = 0; i < 12; i++)
        {
            (int row, int[] positions) = places[i / 6];
            int at = (((row * 5) + positions[i / 2 % 3]) * 16) + (2 * 4) + (i % 2 == 0 ? 3 : 1);
            values[row] += given[i] * z[at];
            expected[at] += given[i];
        }

        gradient.Result.Objectives.ShouldBe(values, 1e-12);
        grad.ShouldBe(expected, 1e-12);
    }

    private Gradient Run(GradientObjective objective) => GradientTesting.Run(_model, _rows, objective, [GradientTesting.At(Logits)]);

    private double[] Captured(string hook) =>
        GradientTesting.Run(_model, GradientTesting.PlanCapturing(_model, _rows, GradientTesting.NextTokens, [GradientTesting.At(hook)], [new ActivationSelector(hook)]))[hook].Doubles();

    private double[] ForwardLogits()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        return _model.Forward(new TokenBatch(_model.Config, _rows).ToTensor(CPU)).ToHost("logits").Doubles();
    }

    private double[] Probabilities(int row, int position)
    {
        double[] exponents = [.. ForwardLogits().Skip(((row * 5) + position) * 17).Take(17).Select(Math.Exp)];
        return [.. exponents.Select(exponent => exponent / exponents.Sum())];
    }

    private static void ShouldBe(Gradient gradient, int row, int position, Func<int, double> expected, double tolerance = 1e-12)
    {
        double[] values = gradient[$"grad/{Logits}"].Doubles();
        for (int token = 0; token < 17; token++) values[(((row * 5) + position) * 17) + token].ShouldBe(expected(token), tolerance, $"token {token}");
    }

    /// <summary>The probe inside the model: starts the graph at the embedding, and ends it in the middle.</summary>
    private sealed class ProbeTap(double[] probe, Tensor valid) : IActivationTap
    {
        public Tensor? Embedding { get; set; }

        public Tensor? Value { get; private set; }

        public bool Wants(HookPoint hook) => hook.Name is "hook_embed" or "blocks.1.hook_resid_pre";

        public Tensor At(HookPoint hook, Tensor x)
        {
            if (hook.Name == "hook_embed") return Embedding!.alias();
            using Tensor weights = tensor(probe, dtype: ScalarType.Float64);
            Value = (x.matmul(weights).tanh() * valid).sum().DetachFromDisposeScope();
            return x;
        }
    }
}
