using Lab.ModelHost.Passes;
using Lab.ModelHost.Residents;
using Lab.Models;
using Lab.Models.Interventions;
using Lab.Tensors;

namespace Lab.ModelHost.Generation;

/// <summary>What a generation would do and cost. Everything in it is checked.</summary>
/// <param name="Order">What is asked for.</param>
/// <param name="Prefill">The pass over the prompt.</param>
/// <param name="TotalBytes">The most bytes of tensors that it may send.</param>
/// <param name="CacheBytes">The most bytes of keys and values.</param>
internal sealed record GenerationPlan(GenerationOrder Order, RunPlan Prefill, long TotalBytes, long CacheBytes)
{
    /// <summary>Rows of the pass over the prompt: two where it has a twin, which needs keys and values of its own until the pass has ended.</summary>
    public int PromptRows { get; } = Prefill.Forward.NeedsTwin ? 2 : 1;

    /// <summary>Plans a generation.</summary>
    /// <exception cref="ArgumentException">A selector or a value does not fit; ParamName is its path.</exception>
    public static GenerationPlan Of(ResidentModel model, GenerationOrder order)
    {
        RunPlan prefill = RunPlan.Of(model.Hooks, model.Config, order.Prefill, reach: order.Reach, parameters: model.Parameters);
        GenerationPlan plan = new(order, prefill, 0, 0);
        Int128 cache = (Int128)SequenceCache.BytesOf(model.Config, order.Reach, model.Facts.Type.Size()) * plan.PromptRows;
        Int128 bytes = prefill.Forward.Captures.Aggregate((Int128)0, (sum, capture) => sum + (capture.ElementCount * order.Prefill.DataType.Size()))
            + ((order.MaxNewTokens - 1) * BytesOfStep(model, order));
        return plan with { TotalBytes = (long)Int128.Min(bytes, long.MaxValue), CacheBytes = (long)Int128.Min(cache, long.MaxValue) };
    }

    /// <summary>The most that one step can capture: the new token at every hook that is named, attention with all keys there can be.</summary>
    private static Int128 BytesOfStep(ResidentModel model, GenerationOrder order)
    {
        if (order.MaxNewTokens == 1) return 0;
        TokenBatch token = new(model.Config, [[0]]);
        ActivationSelector[] everywhere = [.. order.Prefill.Captures.Select(capture => new ActivationSelector(capture.Hook)
        {
            Hooks = capture.Hooks,
            Layers = capture.Layers,
            Heads = capture.Heads,
            Channels = capture.Channels,
        })];
        ForwardPlan step = ForwardPlan.Resolve(model.Hooks, token, everywhere, []);
        long[] repeats = [.. order.Prefill.Captures.Select(Repeats)];
        return step.Captures.Aggregate((Int128)0, (sum, capture) =>
            sum + (capture.ElementCount * repeats[capture.Index] * order.Prefill.DataType.Size() * (capture.Hook.Dimensions[^1] == HookDimension.KeyPos ? order.Reach : 1)));
    }

    /// <summary>How often a selector can name the new token: rows and positions may repeat, and the last position has two names.</summary>
    private static long Repeats(ActivationSelector selector)
    {
        int last = selector.Positions.Count(position => position == -1);
        int most = selector.Positions.Where(position => position >= 0).CountBy(position => position).Select(pair => pair.Value).DefaultIfEmpty(0).Max();
        return (long)Math.Max(1, selector.Rows.Count) * Math.Max(1, last + most);
    }
}
