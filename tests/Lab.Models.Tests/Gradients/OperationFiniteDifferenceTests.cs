using Lab.Models.Gradients;
using Lab.Models.Interventions;
using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.Models.Tests.Gradients;

/// <summary>Gradients through every operation, and by what it was given, against central differences of a logit in FP64.</summary>
public sealed class OperationFiniteDifferenceTests
{
    private const double Step = 1e-5;
    private static readonly int[][] _rows = [[3, 1, 4, 1, 5], [9, 2, 6]];
    private static readonly int[] _lengths = [5, 3];
    private static readonly HostTensor _vector = HostTensor.FromFloats("", [0.5f, -1, 0.25f], 3);
    private static readonly HostTensor _directions = HostTensor.FromFloats("", [0.5f, -1, 0.25f, 1, 1, -0.5f], 2, 3);

    private static readonly GradientObjective _objective = new GradientObjective.LogitDifference([new(null, -1, 3, 7), new(0, 1, 2, null)]);

    private static readonly Dictionary<string, InterventionOperation> _operations = new()
    {
        ["set"] = new InterventionOperation.Set(_vector),
        ["add"] = new InterventionOperation.Add(_vector, 0.7f),
        ["add in units of the norm"] = new InterventionOperation.Add(_vector, 0.7f, StrengthUnit.ResidualNorm),
        ["scale"] = new InterventionOperation.Scale(1.5f),
        ["zero"] = new InterventionOperation.Zero(),
        ["mean"] = new InterventionOperation.Mean(_vector),
        ["mean of the batch"] = new InterventionOperation.Mean(),
        ["patch"] = new InterventionOperation.Patch(0),
        ["clamp"] = new InterventionOperation.Clamp(-0.4f, 0.6f),
        ["noise"] = new InterventionOperation.Noise(0.3f, 2),
        ["noise in units of the norm"] = new InterventionOperation.Noise(0.3f, 2, StrengthUnit.ResidualNorm),
        ["project out"] = new InterventionOperation.ProjectOut(_directions),
        ["project onto"] = new InterventionOperation.ProjectOnto(_directions),
        ["swap"] = new InterventionOperation.SwapSubspace(_directions, 0),
        ["freeze"] = new InterventionOperation.Freeze(),
        ["skip"] = new InterventionOperation.Skip(),
    };

    private static readonly HashSet<string> _withOperand = ["set", "add", "add in units of the norm", "scale", "mean", "project out", "project onto", "swap"];

    public static TheoryData<string, string> Cases
    {
        get
        {
            TheoryData<string, string> cases = [];
            foreach (string family in new[] { "gpt2", "gemma3", "sparse" })
            {
                foreach (string operation in _operations.Keys) cases.Add(family, operation);
            }

            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Run_UnderAnOperation_GivesTheSlopes(string family, string operation)
    {
        using Transformer model = FamilyConfigs.New(family, seed: 8);
        string[] hooks = operation == "skip" ? ["blocks.0.hook_resid_post", "blocks.1.hook_mlp_out"] : ["blocks.0.hook_resid_mid", "blocks.1.attn.hook_v", "blocks.0.mlp.hook_post"];
        foreach (string hook in hooks)
        {
            ActivationSelector part = operation == "skip" ? new(hook) { Rows = [1] } : new(hook) { Rows = [1], Positions = [-1, 0], Channels = [3, 0, 2] };
            // Another change before it, so that what is clean differs from what is changed.
            Intervention[] interventions = [new(new ActivationSelector("hook_embed"), new InterventionOperation.Scale(0.5f)), new(part, _operations[operation])];
            List<GradientTarget> targets = [GradientTesting.At("hook_embed"), GradientTesting.At(hook), new GradientTarget.Operand(0)];
            if (_withOperand.Contains(operation)) targets.Add(new GradientTarget.Operand(1));

            Gradient gradient = GradientTesting.Run(model, _rows, _objective, [.. targets], interventions);

            gradient.Tensors.Select(tensor => tensor.Name).Take(3).ShouldBe(["grad/hook_embed", $"grad/{hook}", "grad/interventions[0]"]);
            ShouldBeSlope(model, "hook_embed", gradient.Tensors[0], interventions);
            ShouldBeSlope(model, hook, gradient.Tensors[1], interventions);
            for (int operand = 0; operand < targets.Count - 2; operand++) ShouldBeSlopeOf(model, operand, gradient.Tensors[2 + operand], interventions);
        }
    }

    [Theory]
    [InlineData("blocks.1.attn.hook_pattern")]
    [InlineData("blocks.0.attn.hook_attn_scores")]
    [InlineData("blocks.0.ln2.hook_scale")]
    [InlineData("ln_final.hook_scale")]
    public void Run_FrozenHook_IsAConstant(string hook)
    {
        // Attribution with frozen patterns and norms: nothing flows through what is frozen, though the path goes on beside it.
        using Transformer model = FamilyConfigs.New("gemma3", seed: 9);
        Intervention[] interventions = [new(new ActivationSelector("blocks.0.hook_resid_pre"), new InterventionOperation.Scale(0.7f)), new(new ActivationSelector(hook), new InterventionOperation.Freeze())];

        Gradient gradient = GradientTesting.Run(model, _rows, _objective, [GradientTesting.At("hook_embed"), GradientTesting.At(hook), new GradientTarget.Operand(0)], interventions);

        ShouldBeSlope(model, "hook_embed", gradient.Tensors[0], interventions);
        ShouldBeSlope(model, hook, gradient.Tensors[1], interventions);
        ShouldBeSlopeOf(model, 0, gradient.Tensors[2], interventions);
    }

    [Fact]
    public void Resolve_OperandThatIsNotThere_NamesTheField()
    {
        using Transformer model = FamilyConfigs.New("gpt2");
        Intervention zero = new(new ActivationSelector("hook_embed"), new InterventionOperation.Zero());

        foreach (int operand in new[] { 0, 1, -1 })
        {
            Should.Throw<ArgumentException>(() => GradientTesting.Plan(model, _rows, _objective, [new GradientTarget.Operand(operand)], zero)).ParamName.ShouldBe("targets[0].operand");
        }
    }

    private static void ShouldBeSlope(Transformer model, string hook, HostTensor gradient, Intervention[] interventions)
    {
        using var scope = NewDisposeScope();
        Tensor? direction = null;
        double Value(double step)
        {
            ForwardPlan plan = Plan(model, interventions);
            using InterventionTap changes = new(plan.Interventions, plan.Batch.Lengths, hasTwin: plan.NeedsTwin);
            using PerturbingTap tap = new(hook, step, _lengths, changes, plan.NeedsTwin);
            double value = Objective(model, plan, tap);
            direction = tap.Direction!.clone();
            return value;
        }

        double slope = (Value(Step) - Value(-Step)) / (2 * Step);
        (gradient.ToTorch() * direction!).sum().item<double>().ShouldBe(slope, 1e-6 * Math.Max(1, Math.Abs(slope)), hook);
    }

    private static void ShouldBeSlopeOf(Transformer model, int intervention, HostTensor gradient, Intervention[] interventions)
    {
        using var scope = NewDisposeScope();
        using Generator generator = new(13);
        Tensor direction = randn(gradient.Shape, ScalarType.Float64, generator: generator);
        double Value(double step)
        {
            ForwardPlan plan = Plan(model, interventions);
            HostTensor operand = ResolvedOperand.Of(plan.Interventions, intervention, "").Value;
            using InterventionTap changes = new(
                plan.Interventions, plan.Batch.Lengths, (index, _) => index == intervention ? operand.ToTorch().to(ScalarType.Float64) + (direction * step) : null, plan.NeedsTwin);
            return Objective(model, plan, changes);
        }

        double slope = (Value(Step) - Value(-Step)) / (2 * Step);
        (gradient.ToTorch() * direction).sum().item<double>().ShouldBe(slope, 1e-6 * Math.Max(1, Math.Abs(slope)), $"interventions[{intervention}]");
    }

    private static ForwardPlan Plan(Transformer model, Intervention[] interventions) =>
        ForwardPlan.Resolve(model.Hooks, new TokenBatch(model.Config, _rows), [], interventions);

    private static double Objective(Transformer model, ForwardPlan plan, IActivationTap tap)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor logits = model.Forward((plan.NeedsTwin ? plan.Batch.Twice() : plan.Batch).ToTensor(CPU), tap);
        if (plan.NeedsTwin) logits = logits.narrow(0, 2, 2);
        double At(int row, int position, int token) => logits[row][position][token].item<double>();
        return At(0, 4, 3) - At(0, 4, 7) + At(1, 2, 3) - At(1, 2, 7) + At(0, 1, 2);
    }
}
