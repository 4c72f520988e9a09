using Lab.Models.Gradients;
using Lab.Models.Interventions;
using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.Models.Tests.Gradients;

/// <summary>Gradients in FP64 against central differences of the loss along random directions, which have a part in every element.</summary>
public sealed class FiniteDifferenceTests
{
    private const double Step = 1e-5;
    private static readonly int[][] _rows = [[3, 1, 4, 1, 5], [9, 2, 6]];
    private static readonly int[] _lengths = [5, 3];

    public static TheoryData<string> Families => [.. FamilyConfigs.All.Keys];

    [Theory]
    [MemberData(nameof(Families))]
    public void Run_EveryHook_GivesTheSlopesOfTheLoss(string family)
    {
        using Transformer model = FamilyConfigs.New(family);
        int seen = 0;
        foreach (string[] hooks in Groups(model))
        {
            Gradient all = GradientTesting.Run(model, _rows, GradientTesting.NextTokens, [.. hooks.Select(GradientTesting.At)]);

            all.Result.ZeroGradients.ShouldBeEmpty();
            foreach (string hook in hooks) ShouldBeSlope(model, hook, all[$"grad/{hook}"]);
            seen += hooks.Length;
        }

        seen.ShouldBe(model.Hooks.All.Count);
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Run_OneHookAlone_GivesTheSameGradientAsWithOthers(string family)
    {
        using Transformer model = FamilyConfigs.New(family, seed: 6);
        foreach (string[] hooks in Groups(model))
        {
            Gradient all = GradientTesting.Run(model, _rows, GradientTesting.NextTokens, [.. hooks.Select(GradientTesting.At)]);

            foreach (string hook in hooks)
            {
                Gradient alone = GradientTesting.Run(model, _rows, GradientTesting.NextTokens, [GradientTesting.At(hook)]);
                double[] expected = all[$"grad/{hook}"].Doubles(), actual = alone.Tensors.ShouldHaveSingleItem().Doubles();
                for (int i = 0; i < expected.Length; i++) actual[i].ShouldBe(expected[i], 1e-9, hook);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Run_EveryParameter_GivesTheSlopesOfTheLoss(string family)
    {
        using Transformer model = FamilyConfigs.New(family);
        GradientTarget[] targets = [.. model.Weights.All.Select(parameter => new GradientTarget.Parameter(parameter.Name))];
        Gradient gradient = GradientTesting.Run(model, _rows, GradientTesting.NextTokens, targets);
        using var scope = NewDisposeScope();
        using Generator generator = new(12);

        foreach (NamedParameter parameter in model.Weights.All)
        {
            Tensor direction = randn(parameter.Value.shape, ScalarType.Float64, generator: generator);
            double Shifted(double step)
            {
                using var noGrad = no_grad();
                parameter.Value.add_(direction * step);
                return Loss(model);
            }

            double slope = (Shifted(Step) - Shifted(-2 * Step)) / (2 * Step);
            Shifted(Step);
            (gradient[$"grad/{parameter.Name}"].ToTorch() * direction).sum().item<double>().ShouldBe(slope, Tolerance(slope), parameter.Name);
        }
    }

    [Theory]
    [InlineData("gpt2", "transformer.h.0.mlp.c_proj.weight", "transformer.h.1.ln_1.weight")]
    [InlineData("llama", "model.layers.0.mlp.down_proj.weight", "model.layers.1.input_layernorm.weight")]
    public void Run_UnderWeightEdits_GivesTheSlopesOfTheLoss(string family, string matrix, string vector)
    {
        using Transformer model = FamilyConfigs.New(family);
        WeightEdit low = new(matrix)
        {
            LowRank = new LowRankDelta(HostTensor.FromFloats("", [.. Enumerable.Range(0, 12).Select(i => MathF.Sin(i))], 12, 1), HostTensor.FromFloats("", [.. Enumerable.Range(0, 10).Select(i => MathF.Cos(i))], 1, 10)),
            Tokens = new ActivationSelector("") { Positions = [1] },
        };
        WeightEdit gain = new(vector) { Bias = HostTensor.FromFloats("", [.. Enumerable.Repeat(0.3f, 12)], 12) };
        ForwardPlan forward = ForwardPlan.Resolve(model.Hooks, new TokenBatch(model.Config, _rows), [], [], edits: [low, gain], parameters: model.Parameters);
        GradientPlan plan = GradientPlan.Resolve(
            model.Hooks, model.Config, GradientTesting.Shapes(model), forward, GradientTesting.NextTokens, [GradientTesting.At("hook_embed"), GradientTesting.At("blocks.0.mlp.hook_post")]);

        Gradient gradient = GradientTesting.Run(model, plan);

        gradient.Result.EditFireCounts.ShouldBe([2, 8]);
        ShouldBeSlope(model, "hook_embed", gradient.Tensors[0], forward);
        ShouldBeSlope(model, "blocks.0.mlp.hook_post", gradient.Tensors[1], forward);
    }

    /// <summary>Heads' own inputs, and all other hooks: the norm that heads share is not on the path of the former.</summary>
    private static IEnumerable<string[]> Groups(Transformer model) =>
        model.Hooks.All.Select(hook => hook.Name).GroupBy(name => name.EndsWith("_input", StringComparison.Ordinal) || name.EndsWith("attn_in", StringComparison.Ordinal)).Select(group => group.ToArray());

    private static void ShouldBeSlope(Transformer model, string hook, HostTensor gradient, ForwardPlan? plan = null)
    {
        using PerturbingTap up = new(hook, Step, _lengths), down = new(hook, -Step, _lengths);
        double slope = (Loss(model, up, plan) - Loss(model, down, plan)) / (2 * Step);
        using var scope = NewDisposeScope();
        (gradient.ToTorch() * up.Direction!).sum().item<double>().ShouldBe(slope, Tolerance(slope), hook);
        slope.ShouldNotBe(0, hook);
    }

    private static double Tolerance(double slope) => 1e-6 * Math.Max(1, Math.Abs(slope));

    /// <summary>Mean next-token cross-entropy, summed over rows, written out anew.</summary>
    private static double Loss(Transformer model, IActivationTap? tap = null, ForwardPlan? plan = null)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor ids = tensor(new long[] { 3, 1, 4, 1, 5, 9, 2, 6, 0, 0 }, 2, 5);
        Tensor logits = model.Forward(new ForwardInput(ids) { Edits = plan is null ? null : new WeightEdits(plan.Edits, 2) }, tap)!;
        double sum = 0;
        for (int row = 0; row < 2; row++)
        {
            double loss = 0;
            for (int position = 0; position < _lengths[row] - 1; position++)
            {
                Tensor exponents = logits[row][position].exp();
                loss -= Math.Log(exponents[_rows[row][position + 1]].item<double>() / exponents.sum().item<double>());
            }

            sum += loss / (_lengths[row] - 1);
        }

        return sum;
    }
}
