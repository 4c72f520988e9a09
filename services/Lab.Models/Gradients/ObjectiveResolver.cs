using Lab.Models.Interventions;
using Lab.Tensors;

namespace Lab.Models.Gradients;

/// <summary>Checks objectives against a model and a batch.</summary>
/// <param name="config">The model.</param>
/// <param name="batch">The batch.</param>
/// <param name="selections">Resolves selectors for the batch.</param>
internal sealed class ObjectiveResolver(TransformerConfig config, TokenBatch batch, SelectionResolver selections)
{
    private const string LogitsAlias = "logits";
    private const string LogitsHook = "unembed.hook_out";

    /// <summary>Checks an objective.</summary>
    /// <param name="objective">The objective.</param>
    /// <param name="field">Its path, for errors: "objective".</param>
    /// <exception cref="ArgumentException">A row, position, token or gradient does not fit; ParamName is its path.</exception>
    public ResolvedObjective Resolve(GradientObjective objective, string field) => objective switch
    {
        GradientObjective.CrossEntropy crossEntropy => CrossEntropy(crossEntropy, $"{field}.cross_entropy.targets"),
        GradientObjective.LogitDifference difference => LogitDifference(difference, $"{field}.logit_difference.pairs"),
        GradientObjective.KlToClean kl => KlToClean(kl, $"{field}.kl_to_clean.positions"),
        GradientObjective.Upstream upstream => Upstream(upstream, $"{field}.upstream.gradients"),
        _ => throw new ArgumentException($"{objective} is no objective.", field),
    };

    private ResolvedObjective.CrossEntropy CrossEntropy(GradientObjective.CrossEntropy objective, string field)
    {
        List<(int Row, int Position)> places = [];
        List<int> targets = [];
        for (int i = 0; i < objective.Targets.Count; i++)
        {
            TokenTarget target = objective.Targets[i];
            places.Add((RequireRow(target.Row, $"{field}[{i}].row"), RequirePosition(target.Row, target.Position, $"{field}[{i}].position")));
            targets.Add(RequireToken(target.Token, $"{field}[{i}].token"));
        }

        for (int row = 0; objective.Targets.Count == 0 && row < batch.Count; row++)
        {
            for (int position = 0; position < batch.Lengths[row] - 1; position++)
            {
                places.Add((row, position));
                targets.Add(batch.Rows[row][position + 1]);
            }
        }

        return new ResolvedObjective.CrossEntropy(Places(places, objective.Reduction), targets);
    }

    private ResolvedObjective.LogitDifference LogitDifference(GradientObjective.LogitDifference objective, string field)
    {
        if (objective.Pairs.Count == 0) throw new ArgumentException("At least one pair of tokens is required.", field);
        List<(int Row, int Position)> places = [];
        List<(int A, int? B)> pairs = [];
        for (int i = 0; i < objective.Pairs.Count; i++)
        {
            LogitPair pair = objective.Pairs[i];
            RequireToken(pair.TokenA, $"{field}[{i}].token_a");
            if (pair.TokenB is { } other) RequireToken(other, $"{field}[{i}].token_b");
            foreach (int row in pair.Row is { } one ? [RequireRow(one, $"{field}[{i}].row")] : Enumerable.Range(0, batch.Count))
            {
                places.Add((row, RequirePosition(row, pair.Position, $"{field}[{i}].position")));
                pairs.Add((pair.TokenA, pair.TokenB));
            }
        }

        return new ResolvedObjective.LogitDifference(Places(places, Reduction.Sum), pairs);
    }

    private ResolvedObjective.KlToClean KlToClean(GradientObjective.KlToClean objective, string field)
    {
        List<(int Row, int Position)> places = [];
        for (int row = 0; row < batch.Count; row++)
        {
            if (objective.Positions.Count == 0) places.AddRange(Enumerable.Range(0, batch.Lengths[row]).Select(position => (row, position)));
            for (int i = 0; i < objective.Positions.Count; i++) places.Add((row, RequirePosition(row, objective.Positions[i], $"{field}[{i}]")));
        }

        return new ResolvedObjective.KlToClean(Places(places, objective.Reduction));
    }

    private ResolvedObjective.Inner Upstream(GradientObjective.Upstream objective, string field)
    {
        if (objective.Gradients.Count == 0) throw new ArgumentException("At least one gradient is required.", field);
        return new ResolvedObjective.Inner([.. objective.Gradients.Select((one, i) =>
        {
            ActivationSelector selector = one.Selector.Hook == LogitsAlias ? one.Selector with { Hook = LogitsHook } : one.Selector;
            IReadOnlyList<ResolvedSelection> matched = selections.Resolve(selector, $"{field}[{i}].selector");
            if (matched.Count != 1) throw new ArgumentException($"A gradient belongs to one hook; '{selector.Hook}' matches {matched.Count}.", $"{field}[{i}].selector.hook");
            RequireGradient(one.Gradient, matched[0], $"{field}[{i}].gradient");
            return (matched[0], one.Gradient);
        })]);
    }

    private static void RequireGradient(HostTensor gradient, ResolvedSelection selection, string field)
    {
        if (gradient.DataType is not (TensorDataType.Float32 or TensorDataType.Float64)) throw new ArgumentException($"A gradient must be FP32 or FP64, not {gradient.DataType}.", field);
        if (!gradient.Shape.AsSpan().SequenceEqual([.. selection.Shape]))
        {
            throw new ArgumentException(
                $"A gradient of shape {TensorShape.Format(gradient.Shape)} does not fit what is selected of {selection.Hook.Name}, {TensorShape.Format([.. selection.Shape])}.", field);
        }

        try
        {
            FiniteCheck.Require(gradient);
        }
        catch (NonFiniteActivationException e)
        {
            throw new ArgumentException($"A gradient must be finite. {e.Message}", field, e);
        }
    }

    private ObjectivePlaces Places(IReadOnlyList<(int Row, int Position)> places, Reduction reduction) => new(places, batch.Count, batch.Length, reduction);

    private int RequireRow(int row, string field) => (uint)row < (uint)batch.Count
        ? row
        : throw new ArgumentException($"Row {row} is out of range: the batch has {batch.Count} rows, from 0.", field);

    private int RequirePosition(int row, int position, string field)
    {
        int length = batch.Lengths[row];
        return position >= -length && position < length
            ? position < 0 ? position + length : position
            : throw new ArgumentException($"Position {position} is out of range: row {row} has {length} tokens.", field);
    }

    private int RequireToken(int token, string field) => (uint)token < (uint)config.DVocab
        ? token
        : throw new ArgumentException($"Token {token} is out of range: the vocabulary has {config.DVocab} tokens, from 0.", field);
}
