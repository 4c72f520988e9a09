using Lab.Models.Interventions;
using Lab.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Lab.Models.Tests.Interventions;

/// <summary>Gradients through every operation, and by every operand, against finite differences in FP64.</summary>
public sealed class OperationGradientTests
{
    private static readonly int[][] Rows = [[3, 1, 4, 1], [9, 2, 6, 5]];

    private static readonly HostTensor Vector = HostTensor.FromFloats("", [0.5f, -1, 0.25f, 2], 4);

    private static readonly Dictionary<string, InterventionOperation> Operations = new()
    {
        ["set"] = new InterventionOperation.Set(Vector),
        ["add"] = new InterventionOperation.Add(Vector, 0.7f),
        ["add in units of the norm"] = new InterventionOperation.Add(Vector, 0.7f, StrengthUnit.ResidualNorm),
        ["scale"] = new InterventionOperation.Scale(1.5f),
        ["zero"] = new InterventionOperation.Zero(),
        ["mean"] = new InterventionOperation.Mean(Vector),
        ["mean of the batch"] = new InterventionOperation.Mean(),
        ["patch"] = new InterventionOperation.Patch(0),
        ["clamp"] = new InterventionOperation.Clamp(-0.4f, 0.6f),
        ["noise"] = new InterventionOperation.Noise(0.3f, 2),
        ["noise in units of the norm"] = new InterventionOperation.Noise(0.3f, 2, StrengthUnit.ResidualNorm),
        ["project out"] = new InterventionOperation.ProjectOut(Vector),
        ["project onto"] = new InterventionOperation.ProjectOnto(Vector),
        ["swap"] = new InterventionOperation.SwapSubspace(Vector, 0),
        ["freeze"] = new InterventionOperation.Freeze(),
        ["skip"] = new InterventionOperation.Skip(),
    };

    public static TheoryData<string, string, string> Places()
    {
        TheoryData<string, string, string> places = [];
        foreach (string model in new[] { "gpt2", "gemma3", "circuit_sparsity" })
        {
            foreach (string operation in Operations.Keys)
            {
                if (operation == "skip") places.Add(model, operation, "blocks.1.hook_resid_post");
                else foreach (string hook in new[] { "blocks.0.hook_resid_mid", "blocks.1.attn.hook_q", "blocks.1.mlp.hook_post" }) places.Add(model, operation, hook);
            }
        }

        return places;
    }

    [Theory]
    [MemberData(nameof(Places))]
    public void Gradient_ThroughAndByOperands_EqualsFiniteDifferences(string name, string operation, string hook)
    {
        using Transformer model = RandomModels.Create(name, ScalarType.Float64, seed: 3);
        ActivationSelector selector = operation == "skip"
            ? new ActivationSelector(hook) { Rows = [1] }
            : new ActivationSelector(hook) { Rows = [1], Positions = [-1, 1, 1], Channels = [2, 0, 3, 1], Heads = hook.Contains("attn", StringComparison.Ordinal) ? [1, 2] : [] };

        // What comes in is moved by a leaf at the embedding, so that the gradient must go through the operation.
        HostTensor push = HostTensor.FromFloats("", [.. Enumerable.Range(0, 16).Select(i => 0.1f * (i % 5))], 16);
        ForwardPlan plan = ForwardPlan.Resolve(
            model.Hooks,
            new TokenBatch(model.Config, Rows),
            [],
            [new Intervention(new ActivationSelector("hook_embed"), new InterventionOperation.Add(push)), new Intervention(selector, Operations[operation])]);
        CheckGradients(model, plan);
    }

    [Fact]
    public void Gradient_ByFactorOfScores_IgnoresWhatNoQuerySees()
    {
        using Transformer model = RandomModels.Create("llama", ScalarType.Float64);
        ForwardPlan plan = ForwardPlan.Resolve(
            model.Hooks, new TokenBatch(model.Config, Rows), [], [new Intervention(new ActivationSelector("blocks.*.attn.hook_attn_scores"), new InterventionOperation.Scale(0.5f))]);

        CheckGradients(model, plan);
    }

    private static void CheckGradients(Transformer model, ForwardPlan plan)
    {
        using var scope = NewDisposeScope();
        using Generator generator = new(5);
        Tensor weights = randn([2, 4, 20], ScalarType.Float64, generator: generator);
        Dictionary<(int, string), Tensor> leaves = [];
        Tensor Leaf(int intervention, HostTensor? value, string operand)
        {
            if (leaves.TryGetValue((intervention, operand), out Tensor? known)) return known;
            Tensor constant = value?.ToTorch() ?? tensor(((InterventionOperation.Scale)plan.Interventions[intervention].Source.Operation).Factor);

            // It is asked for in the middle of a pass, and must outlive it.
            return leaves[(intervention, operand)] = constant.to(ScalarType.Float64).requires_grad_().DetachFromDisposeScope();
        }

        Tensor Operand(int intervention, string operand) => Leaf(
            intervention,
            plan.Interventions[intervention].Source.Operation switch
            {
                InterventionOperation.Set set => set.Value,
                InterventionOperation.Add add => add.Value,
                InterventionOperation.Mean mean => mean.Value,
                InterventionOperation.ProjectOut project => project.Directions,
                InterventionOperation.ProjectOnto project => project.Directions,
                InterventionOperation.SwapSubspace swap => swap.Directions,
                _ => null,
            },
            operand);
        Tensor Objective() => (TestPass.Logits(model, plan, Operand) * weights).sum();

        Tensor objective = Objective();
        ((int, string)[] keys, Tensor[] all) = ([.. leaves.Keys], [.. leaves.Values]);
        IList<Tensor> gradients = autograd.grad([objective], all);
        using var noGrad = no_grad();
        for (int leaf = 0; leaf < all.Length; leaf++)
        {
            double[] actual = [.. gradients[leaf].flatten().data<double>()];
            double scale = 1 + actual.Max(Math.Abs);
            Tensor flat = all[leaf].view(-1);
            for (int i = 0; i < actual.Length; i++)
            {
                const double Step = 1e-6;
                double Moved(double by)
                {
                    flat[i].add_(by);
                    double value = Objective().item<double>();
                    flat[i].sub_(by);
                    return value;
                }

                double expected = (Moved(Step) - Moved(-Step)) / (2 * Step);
                Math.Abs(actual[i] - expected).ShouldBeLessThan(1e-5 * scale, $"{keys[leaf]}, element {i}: {actual[i]} and {expected}");
            }
        }

        foreach (Tensor leaf in all) leaf.Dispose();
    }
}
