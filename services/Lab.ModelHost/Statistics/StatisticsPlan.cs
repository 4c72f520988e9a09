using Lab.ModelHost.Passes;
using Lab.ModelHost.Residents;
using Lab.Models;
using Lab.Models.Interventions;
using Lab.Models.Statistics;

namespace Lab.ModelHost.Statistics;

/// <summary>What is measured and changed in one batch, checked.</summary>
/// <param name="Batch">The tokens.</param>
/// <param name="Rows">Where the rows come from.</param>
/// <param name="Selections">In the order of the forward pass.</param>
/// <param name="Interventions">In the order of the request.</param>
internal sealed record StatisticsPlan(
    TokenBatch Batch, IReadOnlyList<RowOrigin> Rows, IReadOnlyList<ResolvedSelection> Selections, IReadOnlyList<ResolvedIntervention> Interventions)
{
    /// <exception cref="ArgumentException">A selector or a value does not fit; ParamName is its path.</exception>
    public static StatisticsPlan Of(ResidentModel model, StatisticsOrder order, (TokenBatch Batch, IReadOnlyList<RowOrigin> Rows) input)
    {
        SelectionResolver resolver = new(model.Hooks, input.Batch.Lengths);
        IEnumerable<ResolvedSelection> selections = order.Selectors.SelectMany((selector, i) => resolver.Resolve(selector, $"selectors[{i}]"));
        ForwardPlan forward = ForwardPlan.Resolve(model.Hooks, input.Batch, [], order.Interventions);
        return new StatisticsPlan(input.Batch, input.Rows, [.. selections.OrderBy(selection => selection.Hook.Index)], forward.Interventions);
    }

    /// <summary>The number of layers that have to run; null for the whole model.</summary>
    public int? StopAtLayer(HookCatalog hooks)
    {
        int last = Selections.Concat(Interventions.SelectMany(one => one.Selections)).Max(selection => selection.Hook.Index);
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
        foreach (StatisticsPlan plan in plans) limits.RequireSize(model.Config, new ForwardPlan(plan.Batch, plan.Selections, plan.Interventions));
    }
}
