using Lab.Models.Interventions;
using Lab.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Lab.Models.Tests.Interventions;

/// <summary>A small model with weights large enough that every site matters, and passes over it.</summary>
internal sealed class SmallModel : IDisposable
{
    public static readonly TransformerConfig Config = new()
    {
        NLayers = 2,
        DModel = 16,
        NHeads = 2,
        DHead = 8,
        DMlp = 24,
        DVocab = 20,
        NCtx = 12,
        AttentionSink = true,
        BigramTable = true,
        Positions = PositionKind.Learned,
        ActivationFraction = 0.5,
    };

    public SmallModel(TransformerConfig? config = null)
    {
        config ??= Config;
        using Generator generator = new(7);
        Transformer = new Transformer(config, new TransformerWeights(config, (_, shape) => randn(shape, generator: generator).mul_(0.4)));
    }

    public Transformer Transformer { get; }

    public static IEnumerable<string> HookNames()
    {
        using SmallModel model = new();
        return [.. model.Transformer.Hooks.All.Select(hook => hook.Name)];
    }

    public static Intervention At(string hook, InterventionOperation operation) => new(new ActivationSelector(hook), operation);

    public ForwardPlan Plan(int[][] rows, ActivationSelector[]? captures = null, params Intervention[] interventions) =>
        ForwardPlan.Resolve(Transformer.Hooks, new TokenBatch(Transformer.Config, rows), captures ?? [], interventions);

    public PassResult Run(int[][] rows, ActivationSelector[]? captures = null, params Intervention[] interventions)
    {
        ForwardPlan plan = Plan(rows, captures, interventions);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        InterventionTap changes = new(plan.Interventions, plan.Batch.Lengths);
        CaptureTap taken = new(plan.Captures);
        HostTensor logits = Transformer.Forward(plan.Batch.ToTensor(Transformer.Device), new ForwardTap(changes, taken, TestContext.Current.CancellationToken)).ToHost("logits");
        return new PassResult(logits, taken.Tensors, changes.FireCounts);
    }

    public HostTensor Logits(int[][] rows)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        return Transformer.Forward(new TokenBatch(Transformer.Config, rows).ToTensor(Transformer.Device)).ToHost("logits");
    }

    public void Dispose() => Transformer.Dispose();
}

internal sealed record PassResult(HostTensor Logits, IReadOnlyList<HostTensor> Captured, IReadOnlyList<int> FireCounts);

internal static class HostTensorAssertions
{
    public static void ShouldBeClose(this HostTensor actual, HostTensor expected, double tolerance = 1e-5)
    {
        actual.Shape.ShouldBe(expected.Shape);
        for (int i = 0; i < actual.ElementCount; i++)
        {
            float a = actual.Floats[i], e = expected.Floats[i];
            if (a.Equals(e)) continue;
            ((double)Math.Abs(a - e)).ShouldBeLessThanOrEqualTo(tolerance, $"{actual.Name}, element {i}: {a} and {e}");
        }
    }

    public static float At(this HostTensor tensor, params int[] index)
    {
        index.Length.ShouldBe(tensor.Shape.Length);
        long flat = 0;
        for (int i = 0; i < index.Length; i++) flat = (flat * tensor.Shape[i]) + index[i];
        return tensor.Floats[(int)flat];
    }
}
