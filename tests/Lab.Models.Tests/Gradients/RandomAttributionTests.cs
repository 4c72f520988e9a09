using Lab.Models.Gradients;
using Lab.Models.Interventions;
using Lab.Models.Tests.Batching;
using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.Models.Tests.Gradients;

/// <summary>
/// On random models, rows, objectives and hooks: attribution by gradients is what small interventions do, to first order. In FP64, so
/// that what is left is the step's own error.
/// </summary>
public sealed class RandomAttributionTests
{
    /// <summary>A power of two, so that steps times FP32 directions are exact; small enough to cross no kink of AbsTopK or ReLU.</summary>
    private const float Step = 1f / (1 << 20);

    public static TheoryData<int> Seeds => [.. Enumerable.Range(0, 24)];

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Run_RandomRequest_AgreesWithSmallInterventions(int seed)
    {
        Random random = new(seed);
        using Transformer model = NewModel(random);
        int[][] rows = [.. Enumerable.Range(0, random.Next(1, 4)).Select(_ => RandomModel.Row(random, model.Config, random.Next(2, 8)))];
        GradientObjective objective = Objective(random, model, rows, seed % 4);
        Intervention change = new(new ActivationSelector("hook_embed"), new InterventionOperation.Scale(1.25f));
        HookPoint[] hooks = [.. model.Hooks.All.Where(hook => !hook.IsOnRequest || hook.Dimensions.Contains(HookDimension.KeyPos)).OrderBy(_ => random.Next()).Take(6)];

        Gradient gradient = GradientTesting.Run(model, rows, objective, [.. hooks.Select(hook => GradientTesting.At(hook.Name))], change);

        foreach (HookPoint hook in hooks)
        {
            HostTensor own = gradient[$"grad/{hook.Name}"];
            double[] values = own.Doubles();
            float[] direction = [.. values.Select(_ => (float)Math.Round((random.NextDouble() * 2) - 1, 3))];
            double Value(float step)
            {
                Intervention small = new(new ActivationSelector(hook.Name), new InterventionOperation.Add(HostTensor.FromFloats("", direction, own.Shape), step));
                return GradientTesting.Run(model, rows, objective, [GradientTesting.At("hook_embed")], change, small).Result.Objectives.Sum();
            }

            double slope = values.Zip(direction).Sum(pair => pair.First * pair.Second), actual = (Value(Step) - Value(-Step)) / (2 * Step);
            actual.ShouldBe(slope, 1e-6 * Math.Max(1, Math.Abs(slope)), $"{hook.Name} of {model.Config}");
        }
    }

    /// <summary>Where AbsTopK makes zeros in a stream that a ReLU follows, the kink is where the activations are.</summary>
    private static Transformer NewModel(Random random)
    {
        while (true)
        {
            Transformer model = RandomModel.Of(random, ScalarType.Float64);
            if (!model.Config.ResidualRelu || model.Config.ActivationFraction == 1) return model;
            model.Dispose();
        }
    }

    private static GradientObjective Objective(Random random, Transformer model, int[][] rows, int kind) => kind switch
    {
        0 => new GradientObjective.CrossEntropy([], (Reduction)random.Next(2)),
        1 => new GradientObjective.LogitDifference([new(null, -1, random.Next(model.Config.DVocab), random.Next(model.Config.DVocab)), new(0, 0, 1, null)]),
        2 => new GradientObjective.KlToClean([], (Reduction)random.Next(2)),
        _ => new GradientObjective.Upstream(
        [
            Upstream(random, model, rows, model.Hooks.Blocks[^1].MlpPost),
            Upstream(random, model, rows, model.Hooks.UnembedOut),
        ]),
    };

    private static UpstreamGradient Upstream(Random random, Transformer model, int[][] rows, HookPoint hook)
    {
        long[] shape = [rows.Length, rows.Max(row => row.Length), hook.Channels];
        return new UpstreamGradient(new ActivationSelector(hook.Name), GradientTesting.FromDoubles([.. Enumerable.Range(0, (int)(shape[0] * shape[1] * shape[2])).Select(_ => random.NextDouble() - 0.5)], shape));
    }
}
