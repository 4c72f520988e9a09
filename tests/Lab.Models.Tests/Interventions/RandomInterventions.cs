using Lab.Models.Interventions;
using Lab.Tensors;

namespace Lab.Models.Tests.Interventions;

/// <summary>Random interventions and weight edits that fit a model, small enough that the passes stay comparable.</summary>
internal static class RandomInterventions
{
    /// <summary>Those at which a change keeps a request out of co-batches, and scores, whose minus infinities do not mix.</summary>
    private static readonly string[] Excluded = ["hook_attn_in", "hook_q_input", "hook_k_input", "hook_v_input", "hook_result", "hook_attn_scores", "hook_scale"];

    /// <summary>An intervention at one hook.</summary>
    /// <param name="random">Decides.</param>
    /// <param name="model">The model.</param>
    /// <param name="tokens">Narrows its selector to tokens.</param>
    /// <param name="isDecoded">Whether generated tokens are selected too.</param>
    public static Intervention At(Random random, Transformer model, Func<ActivationSelector, ActivationSelector> tokens, bool isDecoded)
    {
        HookPoint[] hooks = [.. model.Hooks.All.Where(hook => !Excluded.Any(end => hook.Name.EndsWith(end, StringComparison.Ordinal)))];
        HookPoint hook = hooks[random.Next(hooks.Length)];
        bool isAttention = hook.Dimensions.Contains(HookDimension.KeyPos);
        int size = (int)hook.Channels;
        int[] channels = isAttention || random.Next(2) == 0 ? [] : [.. Enumerable.Range(0, size).OrderBy(_ => random.Next()).Take(Math.Min(3, size))];
        int count = channels.Length == 0 ? size : channels.Length;
        int heads = (int)hook.Dimensions.Zip(hook.Shape).FirstOrDefault(pair => pair.First == HookDimension.Head, (HookDimension.Head, 0)).Item2;
        ActivationSelector selector = tokens(new ActivationSelector(hook.Name)) with { Channels = channels, Heads = heads > 0 && random.Next(2) == 0 ? [random.Next(heads)] : [] };
        return new Intervention(selector, isAttention ? OfAttention(random, isDecoded) : OfChannels(random, count, isDecoded), AllowUnfired: true);
    }

    /// <summary>An edit of one parameter.</summary>
    public static WeightEdit Edit(Random random, Transformer model, ActivationSelector? tokens)
    {
        ParameterRole[] roles = [.. model.Parameters.All.Where(role => role.Kind != ParameterKind.Sink)];
        ParameterRole role = roles[random.Next(roles.Length)];
        WeightEdit edit = new(role.Name) { Coefficient = 0.3f, Tokens = tokens };
        HostTensor? bias = role.Kind == ParameterKind.Table ? null : Values(random, role.Outputs);
        if (role.Kind == ParameterKind.Vector) return edit with { Bias = bias };
        return edit with { LowRank = new LowRankDelta(Values(random, role.Outputs, 2), Values(random, 2, role.Inputs)), Bias = bias };
    }

    private static InterventionOperation OfAttention(Random random, bool isDecoded) => random.Next(isDecoded ? 3 : 4) switch
    {
        0 => new InterventionOperation.Scale(0.5f),
        1 => new InterventionOperation.Clamp(0, 0.3f),
        2 => new InterventionOperation.Add(HostTensor.FromFloats("", [0.1f])),
        _ => new InterventionOperation.Freeze(),
    };

    private static InterventionOperation OfChannels(Random random, int count, bool isDecoded)
    {
        HostTensor vector = Values(random, count), directions = Values(random, Math.Min(2, count), count);
        return random.Next(isDecoded ? 11 : 14) switch
        {
            0 => new InterventionOperation.Set(vector),
            1 => new InterventionOperation.Add(vector, 1.5f),
            2 => new InterventionOperation.Add(vector, 0.3f, StrengthUnit.ResidualNorm),
            3 => new InterventionOperation.Scale(0.5f),
            4 => new InterventionOperation.Zero(),
            5 => new InterventionOperation.Mean(vector),
            6 => new InterventionOperation.Clamp(-0.5f, null),
            7 => new InterventionOperation.Noise(0.2f, random.Next()),
            8 => new InterventionOperation.Noise(0.2f, random.Next(), StrengthUnit.ResidualNorm),
            9 => new InterventionOperation.ProjectOut(directions),
            10 => new InterventionOperation.ProjectOnto(directions),
            11 => new InterventionOperation.Mean(),
            12 => new InterventionOperation.Freeze(),
            _ => new InterventionOperation.SwapSubspace(directions, 0),
        };
    }

    private static HostTensor Values(Random random, params long[] shape) =>
        HostTensor.FromFloats("", [.. Enumerable.Range(0, (int)shape.Aggregate((a, b) => a * b)).Select(_ => (float)((2 * random.NextDouble()) - 1))], shape);
}
