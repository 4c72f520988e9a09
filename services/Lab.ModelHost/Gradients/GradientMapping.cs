using Lab.ModelHost.Mapping;
using Lab.ModelHost.Sources;
using Lab.Models.Gradients;
using Lab.Models.Interventions;
using Lab.Models.Interventions.Messages;
using Lab.ServiceDefaults.Errors;
using Lab.Tensors;
using Proto = Lab.Protos.ModelHost.V1;

namespace Lab.ModelHost.Gradients;

/// <summary>Objectives and targets of requests.</summary>
internal static class GradientMapping
{
    /// <summary>The most targets, tokens, pairs, positions or gradients of one request.</summary>
    private const int MaxCount = 65536;

    /// <summary>The run that is differentiated.</summary>
    public static Proto.RunRequest ToRun(this Proto.GradientsRequest request) => new()
    {
        Model = request.Model,
        Input = request.Input,
        Captures = { request.Captures },
        Interventions = { request.Interventions },
        WeightEdits = { request.WeightEdits },
        Encoding = request.Encoding,
        DataType = request.DataType,
        Budget = request.Budget,
        Priority = request.Priority,
    };

    public static GradientObjective ToCore(this Proto.Objective? objective) => objective?.ObjectiveCase switch
    {
        Proto.Objective.ObjectiveOneofCase.CrossEntropy => new GradientObjective.CrossEntropy(
            Counted(objective.CrossEntropy.Targets, "objective.cross_entropy.targets", target => new TokenTarget(target.Row, target.HasPosition ? target.Position : -1, target.Token)),
            ToCore(objective.CrossEntropy.Reduction, "objective.cross_entropy.reduction")),
        Proto.Objective.ObjectiveOneofCase.LogitDifference => new GradientObjective.LogitDifference(
            Counted(objective.LogitDifference.Pairs, "objective.logit_difference.pairs", ToCore)),
        Proto.Objective.ObjectiveOneofCase.KlToClean => new GradientObjective.KlToClean(
            Counted(objective.KlToClean.Positions, "objective.kl_to_clean.positions", position => position), ToCore(objective.KlToClean.Reduction, "objective.kl_to_clean.reduction")),
        Proto.Objective.ObjectiveOneofCase.Upstream => new GradientObjective.Upstream(ToCore(objective.Upstream.Gradients, "objective.upstream.gradients")),
        _ => throw new InvalidRequestException("objective", "An objective is required, such as cross_entropy."),
    };

    public static IReadOnlyList<GradientTarget> ToCore(this IReadOnlyCollection<Proto.GradientTarget> targets)
    {
        if (targets.Count > MaxCount) throw new InvalidRequestException("targets", $"There are {targets.Count}; the most is {MaxCount}.");
        return [.. targets.Select((target, i) => target.TargetCase switch
        {
            Proto.GradientTarget.TargetOneofCase.Activation => new GradientTarget.Activation(target.Activation.ToCore($"targets[{i}].activation")),
            Proto.GradientTarget.TargetOneofCase.Operand => new GradientTarget.Operand(target.Operand),
            Proto.GradientTarget.TargetOneofCase.Parameter => (GradientTarget)new GradientTarget.Parameter(target.Parameter),
            _ => throw new InvalidRequestException($"targets[{i}]", "A target is required, such as activation."),
        })];
    }

    private static LogitPair ToCore(Proto.LogitPair pair) =>
        new(pair.HasRow ? pair.Row : null, pair.HasPosition ? pair.Position : -1, pair.TokenA, pair.HasTokenB ? pair.TokenB : null);

    private static UpstreamGradient[] ToCore(IReadOnlyList<Proto.UpstreamGradient> gradients, string field) =>
        [.. gradients.Select((gradient, i) => new UpstreamGradient(
            (gradient.Selector ?? throw new InvalidRequestException($"{field}[{i}].selector", "A selector is required.")).ToCore($"{field}[{i}].selector"),
            gradient.Gradient?.Inline?.ToHost($"{field}[{i}].gradient.inline", TensorSources.MaxStoredBytes) ?? throw new InvalidRequestException($"{field}[{i}].gradient", "A gradient is required.")))];

    private static Reduction ToCore(Proto.Reduction reduction, string field) => reduction switch
    {
        Proto.Reduction.Unspecified or Proto.Reduction.Mean => Reduction.Mean,
        Proto.Reduction.Sum => Reduction.Sum,
        _ => throw new InvalidRequestException(field, $"{(int)reduction} is no reduction."),
    };

    private static TOut[] Counted<TIn, TOut>(IReadOnlyCollection<TIn> items, string field, Func<TIn, TOut> map) => items.Count <= MaxCount
        ? [.. items.Select(map)]
        : throw new InvalidRequestException(field, $"There are {items.Count}; the most is {MaxCount}.");
}
