using System.Runtime.InteropServices;
using Lab.Models.Gradients;
using Lab.Models.Interventions;
using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.Models.Tests.Gradients;

internal static class GradientTesting
{
    public static readonly GradientObjective NextTokens = new GradientObjective.CrossEntropy([], Reduction.Mean);

    public static GradientTarget At(string hook) => new GradientTarget.Activation(new ActivationSelector(hook));

    public static GradientPlan Plan(Transformer model, int[][] rows, GradientObjective objective, GradientTarget[] targets, params Intervention[] interventions) =>
        PlanCapturing(model, rows, objective, targets, [], interventions);

    public static GradientPlan PlanCapturing(
        Transformer model, int[][] rows, GradientObjective objective, GradientTarget[] targets, ActivationSelector[] captures, params Intervention[] interventions) =>
        GradientPlan.Resolve(
            model.Hooks,
            model.Config,
            Shapes(model),
            ForwardPlan.Resolve(model.Hooks, new TokenBatch(model.Config, rows), captures, interventions),
            objective,
            targets);

    public static IReadOnlyDictionary<string, IReadOnlyList<long>> Shapes(Transformer model) =>
        model.Weights.All.ToDictionary(parameter => parameter.Name, parameter => (IReadOnlyList<long>)parameter.Value.shape);

    public static Gradient Run(Transformer model, int[][] rows, GradientObjective objective, GradientTarget[] targets, params Intervention[] interventions) =>
        Run(model, Plan(model, rows, objective, targets, interventions));

    public static Gradient Run(Transformer model, GradientPlan plan, CancellationToken? ct = null)
    {
        List<HostTensor> tensors = [];
        TensorDataType type = model.ScalarType == ScalarType.Float64 ? TensorDataType.Float64 : TensorDataType.Float32;
        GradientResult result = GradientPass.Run(model, plan, type, tensors.Add, ct ?? TestContext.Current.CancellationToken);
        return new Gradient(tensors, result);
    }

    public static double[] Doubles(this HostTensor tensor) => tensor.DataType == TensorDataType.Float64
        ? [.. MemoryMarshal.Cast<byte, double>(tensor.Data.Span)]
        : [.. tensor.Floats.ToArray().Select(x => (double)x)];

    public static HostTensor FromDoubles(double[] values, params long[] shape) => new("", TensorDataType.Float64, shape, MemoryMarshal.AsBytes(values.AsSpan()).ToArray());
}

/// <summary>All that a pass gave.</summary>
internal sealed record Gradient(IReadOnlyList<HostTensor> Tensors, GradientResult Result)
{
    public HostTensor this[string name] => Tensors.Single(tensor => tensor.Name == name);
}
