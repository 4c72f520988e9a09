using Lab.Models.Interventions;
using Lab.Tensors;

namespace Lab.Models.Tests.Interventions;

/// <summary>Every operation at every hook against the same on plain arrays.</summary>
public sealed class OperationTests
{
    private static readonly int[][] Rows = [[3, 1, 4, 1, 5], [9, 2, 6], [5, 3, 5, 8]];

    /// <summary>What an operation makes of the selected channels of one token (of one head).</summary>
    /// <param name="X">The selected channels.</param>
    /// <param name="All">All channels.</param>
    /// <param name="Source">The selected channels of row 0 at the same position.</param>
    private sealed record Place(double[] X, double[] All, double[] Source);

    public static TheoryData<string, string> Hooks()
    {
        TheoryData<string, string> hooks = [];
        foreach (string name in new[] { "circuit_sparsity", "gpt2", "gemma3" })
        {
            using Transformer model = RandomModels.Create(name);
            foreach (HookPoint hook in model.Hooks.All.Where(hook => hook.Layer != 0)) hooks.Add(name, hook.Name);
        }

        return hooks;
    }

    [Theory]
    [MemberData(nameof(Hooks))]
    public void Run_Operation_EqualsHandComputation(string name, string hook)
    {
        using Transformer model = RandomModels.Create(name);
        HookPoint point = model.Hooks.Find(hook)!;
        bool isAttention = point.Dimensions.Contains(HookDimension.KeyPos);
        int size = (int)point.Channels;
        int[] channels = isAttention ? [] : size == 1 ? [0] : [size - 1, 0, 1];
        ActivationSelector selector = new(hook) { Rows = [2, 1], Positions = [-1, 1], Channels = channels };
        HostTensor before = TestPass.Capture(model, Rows, hook);

        foreach ((InterventionOperation operation, Func<Place, double[]> expected) in isAttention ? OfAttention() : OfChannels(channels.Length))
        {
            PassResult result = TestPass.Run(model, Rows, [new ActivationSelector(hook)], new Intervention(selector, operation));

            result.FireCounts.ShouldBe([1]);
            Compare(point, channels, before, result.Captured[0], expected, $"{operation} at {hook}");
        }
    }

    private static IEnumerable<(InterventionOperation Operation, Func<Place, double[]> Expected)> OfAttention() =>
    [
        (new InterventionOperation.Scale(0.5f), place => [.. place.X.Select(x => 0.5 * x)]),
        (new InterventionOperation.Zero(), place => [.. place.X.Select(_ => 0.0)]),
        (new InterventionOperation.Clamp(0.1f, 0.2f), place => [.. place.X.Select(x => Math.Clamp(x, 0.1f, 0.2f))]),
        (new InterventionOperation.Clamp(null, 0.2f), place => [.. place.X.Select(x => Math.Min(x, 0.2f))]),
        (new InterventionOperation.Patch(0), place => place.Source),
        (new InterventionOperation.Freeze(), place => place.X),
        (new InterventionOperation.Add(HostTensor.FromFloats("", [0.25f]), -2), place => [.. place.X.Select(x => x - 0.5)]),
    ];

    private static IEnumerable<(InterventionOperation Operation, Func<Place, double[]> Expected)> OfChannels(int count)
    {
        float[] vector = count == 1 ? [-2] : [3, -1, 2];
        HostTensor value = HostTensor.FromFloats("", vector, count);
        HostTensor directions = count == 1 ? HostTensor.FromFloats("", [3], 1) : HostTensor.FromFloats("", [1, 2, 0, -1, 1, 3], 2, 3);
        double length = Math.Sqrt(vector.Sum(v => (double)v * v));
        return
        [
            .. OfAttention(),
            (new InterventionOperation.Set(value), _ => [.. vector.Select(v => (double)v)]),
            (new InterventionOperation.Add(value, 0.5f), place => [.. place.X.Select((x, i) => x + (0.5 * vector[i]))]),
            (new InterventionOperation.Add(value, -0.5f, StrengthUnit.ResidualNorm), place => [.. place.X.Select((x, i) => x - (0.5 * vector[i] / length * Norm(place.All)))]),
            (new InterventionOperation.Mean(value), _ => [.. vector.Select(v => (double)v)]),
            (new InterventionOperation.ProjectOut(directions), place => [.. place.X.Zip(Component(place.X, directions), (x, c) => x - c)]),
            (new InterventionOperation.ProjectOnto(directions), place => Component(place.X, directions)),
            (new InterventionOperation.SwapSubspace(directions, 0), place =>
                [.. place.X.Zip(Component(place.X, directions), (x, c) => x - c).Zip(Component(place.Source, directions), (x, c) => x + c)]),
        ];
    }

    private static double Norm(double[] x) => Math.Sqrt(x.Sum(v => v * v));

    /// <summary>What of x lies in the span of one or two directions, by the normal equations.</summary>
    private static double[] Component(double[] x, HostTensor directions)
    {
        int n = x.Length, k = (int)(directions.ElementCount / n);
        double[][] d = [.. Enumerable.Range(0, k).Select(i => directions.Floats.Slice(i * n, n).ToArray().Select(v => (double)v).ToArray())];
        double Dot(double[] a, double[] b) => a.Zip(b, (p, q) => p * q).Sum();
        if (k == 1) return [.. d[0].Select(v => v * Dot(d[0], x) / Dot(d[0], d[0]))];
        (double a, double b, double c) = (Dot(d[0], d[0]), Dot(d[0], d[1]), Dot(d[1], d[1]));
        (double u, double v) = (Dot(d[0], x), Dot(d[1], x));
        double determinant = (a * c) - (b * b), first = ((c * u) - (b * v)) / determinant, second = ((a * v) - (b * u)) / determinant;
        return [.. d[0].Zip(d[1], (p, q) => (first * p) + (second * q))];
    }

    private static void Compare(HookPoint point, int[] channels, HostTensor before, HostTensor after, Func<Place, double[]> expected, string because)
    {
        bool isAttention = point.Dimensions.Contains(HookDimension.KeyPos), hasHeads = point.Dimensions.Contains(HookDimension.Head);
        int heads = !hasHeads ? 1 : (int)before.Shape[isAttention ? 1 : 2];
        for (int row = 0; row < Rows.Length; row++)
        {
            for (int position = 0; position < Rows[row].Length; position++)
            {
                for (int head = 0; head < heads; head++)
                {
                    double[] Vector(HostTensor tensor, int r) => isAttention
                        ? [.. Enumerable.Range(0, position + 1).Select(key => (double)tensor.At(r, head, position, key))]
                        : [.. Enumerable.Range(0, (int)before.Shape[^1]).Select(c => (double)(hasHeads ? tensor.At(r, position, head, c) : tensor.At(r, position, c)))];
                    double[] Selected(double[] all) => isAttention ? all : [.. channels.Select(c => all[c])];
                    double[] all = Vector(before, row), wanted = [.. all];
                    if (row > 0 && (position == 1 || position == Rows[row].Length - 1))
                    {
                        double[] changed = expected(new Place(Selected(all), all, Selected(Vector(before, 0))));
                        for (int i = 0; i < changed.Length; i++) wanted[isAttention ? i : channels[i]] = changed[i];
                    }

                    double[] actual = Vector(after, row);
                    for (int i = 0; i < actual.Length; i++)
                    {
                        if (actual[i].Equals(wanted[i])) continue;
                        Math.Abs(actual[i] - wanted[i]).ShouldBeLessThan(1e-5 * (1 + Math.Abs(wanted[i])), $"{because}, row {row}, position {position}, head {head}, element {i}");
                    }
                }
            }
        }
    }
}
