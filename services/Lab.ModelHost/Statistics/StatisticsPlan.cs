using Lab.ModelHost.Passes;
using Lab.ModelHost.Residents;
using Lab.Models;
using Lab.Models.Interventions;
using Lab.Models.Statistics;

namespace Lab.ModelHost.Statistics;

/// <summary>What is measured and changed in one batch, checked.</summary>
/// <param name="Forward">Its captures are what is measured.</param>
/// <param name="Rows">Where the rows come from.</param>
internal sealed record StatisticsPlan(ForwardPlan Forward, IReadOnlyList<RowOrigin> Rows)
{
    /// <summary>In the order of the forward pass.</summary>
    public IReadOnlyList<ResolvedSelection> Selections => Forward.Captures;

    /// <exception cref="ArgumentException">A selector or a value does not fit; ParamName is its path.</exception>
    public static StatisticsPlan Of(ResidentModel model, StatisticsOrder order, (TokenBatch Batch, IReadOnlyList<RowOrigin> Rows) input) =>
        new(ForwardPlan.Resolve(model.Hooks, input.Batch, order.Selectors, order.Interventions, capturesField: "selectors", edits: order.Edits, parameters: model.Transformer.Parameters), input.Rows);

    /// <summary>The number of layers that have to run; null for the whole model.</summary>
    public int? StopAtLayer(HookCatalog hooks)
    {
        // Edits of later layers are to be counted.
        if (Forward.Edits.Count > 0) return null;
        int last = Selections.Concat(Forward.Interventions.SelectMany(one => one.Selections)).Max(selection => selection.Hook.Index);
        return last > hooks.Blocks[^1].ResidPost.Index ? null : hooks.All.Take(last + 1).Max(hook => hook.Layer) + 1;
    }
}

/// <summary>Sizes of what is measured.</summary>
internal static class StatisticsSizes
{
    /// <summary>The selected channels of a token, heads included.</summary>
    public static long ChannelCount(this ResolvedSelection selection) => selection.Shape.Skip(2).Aggregate(1L, (product, size) => product * size);

    /// <summary>Requires that each pass fits into memory.</summary>
    public static void RequireSizes(this RunLimits limits, ResidentModel model, IEnumerable<StatisticsPlan> plans)
    {
        foreach (StatisticsPlan plan in plans) limits.RequireSize(model.Config, plan.Forward);
    }
}
