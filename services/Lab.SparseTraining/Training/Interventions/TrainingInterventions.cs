using Lab.Artifacts;
using Lab.Models;
using Lab.Models.Corpora;
using Lab.Models.Interventions;

namespace Lab.SparseTraining.Training.Interventions;

/// <summary>
/// The rules of a training, checked against its model. What they do to a batch is a pure function of (seed, rule, step, row) and the
/// tokens, so that a run that was interrupted continues with the very changes it would have had.
/// </summary>
internal sealed class TrainingInterventions
{
    private readonly TransformerConfig _config;
    private readonly HookCatalog _hooks;
    private readonly IReadOnlyList<InterventionRule> _rules;
    private readonly long _seed;

    /// <summary>Checks all rules.</summary>
    /// <param name="config">The model.</param>
    /// <param name="rules">The rules, in the order in which they apply.</param>
    /// <param name="batchSize">Sequences of a batch, which `source_row` must be one of.</param>
    /// <param name="seed">Decides which sequences are changed, and by which vectors.</param>
    /// <exception cref="ArgumentException">A rule does not fit the model. ParamName is the field's path, from "config.interventions[0]" on.</exception>
    public TrainingInterventions(TransformerConfig config, IReadOnlyList<InterventionRule> rules, int batchSize, long seed)
    {
        (_config, _rules, _seed) = (config, rules, seed);
        _hooks = HookCatalog.Of(config);
        TokenBatch batch = new(config, [.. Enumerable.Repeat(new int[config.NCtx], batchSize)]);
        for (int i = 0; i < rules.Count; i++) RuleChecks.Require(rules[i], _hooks, config.DVocab, batch, FieldOf(i));
    }

    /// <summary>Checks the rules of a config before anything is trained.</summary>
    /// <param name="store">Where corpus and tensors are.</param>
    /// <param name="artifact">The corpus.</param>
    /// <param name="config">The config, whose other fields are checked.</param>
    /// <param name="ct">Cancels the reading.</param>
    /// <exception cref="ArgumentException">A rule is wrong or does not fit the model. ParamName is the field's path.</exception>
    public static async Task RequireAsync(ArtifactStore store, StoredArtifact artifact, Protos.SparseTraining.V1.TrainingConfig config, CancellationToken ct)
    {
        using TokenCorpus corpus = TokenCorpus.Open(store, artifact);
        InterventionRules read = await InterventionRules.ReadAsync(store, config, corpus.Tokenizer, ct);
        TransformerConfig architecture = TrainingMapping.ToTransformerConfig(config.Model, corpus.Tokenizer.VocabSize);
        _ = new TrainingInterventions(architecture, read.Rules, TrainingMapping.ToRecipe(config.Recipe).BatchSize, config.Seed);
    }

    /// <summary>Sequences that were changed somewhere, and all that there were, in the batches so far.</summary>
    public (long Changed, long All) Counts { get; private set; }

    /// <summary>What changes a batch's activations; null if nothing does.</summary>
    /// <param name="step">The step that the batch is of; evaluations use negative numbers.</param>
    /// <param name="batch">Tokens row by row, n_ctx + 1 of each row, the last being a target only.</param>
    /// <param name="isCounted">Whether <see cref="Counts"/> takes the batch in.</param>
    public InterventionTap? TapFor(long step, ReadOnlySpan<long> batch, bool isCounted = true)
    {
        int width = _config.NCtx + 1;
        int[][] tokens = new int[batch.Length / width][];
        for (int row = 0; row < tokens.Length; row++)
        {
            tokens[row] = new int[width];
            for (int i = 0; i < width; i++) tokens[row][i] = (int)batch[(row * width) + i];
        }

        IReadOnlyList<ResolvedIntervention> resolved = Resolve(step, tokens);
        if (!isCounted) return TapOf(resolved, tokens.Length, width - 1);
        int changed = resolved.SelectMany(one => one.Selections).SelectMany(selection => selection.Positions).Where(row => row.Positions.Count > 0).Select(row => row.Row).Distinct().Count();
        Counts = (Counts.Changed + changed, Counts.All + tokens.Length);
        return TapOf(resolved, tokens.Length, width - 1);
    }

    /// <summary>The interventions on a batch.</summary>
    /// <param name="step">The step.</param>
    /// <param name="tokens">The sequences, each with the token that follows it.</param>
    internal IReadOnlyList<ResolvedIntervention> Resolve(long step, int[][] tokens)
    {
        TokenBatch batch = new(_config, [.. tokens.Select(row => row[..^1])]);
        List<ResolvedIntervention> resolved = [];
        for (int i = 0; i < _rules.Count; i++)
        {
            if (!_rules[i].IsIdle) resolved.AddRange(Resolve(i, step, tokens, batch));
        }

        return resolved;
    }

    private static InterventionTap? TapOf(IReadOnlyList<ResolvedIntervention> resolved, int rows, int length) =>
        resolved.Count == 0 ? null : new InterventionTap(resolved, [.. Enumerable.Repeat(length, rows)]);

    private static string FieldOf(int rule) => $"config.interventions[{rule}]";

    /// <summary>A rule's interventions: one for each set of rows that get the same at the same positions.</summary>
    private IEnumerable<ResolvedIntervention> Resolve(int index, long step, int[][] tokens, TokenBatch batch)
    {
        InterventionRule rule = _rules[index];
        List<(int Row, int? Vector, int[] Positions)> changes = [];
        foreach (int row in Enumerable.Range(0, tokens.Length))
        {
            if (Draw(rule, index, step, row) is not (true, var drawn)) continue;
            IReadOnlyList<Stretch> stretches = Stretch.Of(rule, tokens[row], batch.Length);
            IReadOnlyList<int> selected = stretches.Count > 0 ? PositionsOf(rule, row, batch, index) : [];
            foreach (IGrouping<int?, Stretch> same in stretches.GroupBy(stretch => stretch.Vector ?? drawn))
            {
                int[] positions = [.. selected.Where(position => same.Any(stretch => position >= stretch.Start && position < stretch.End))];
                if (positions.Length > 0) changes.Add((row, same.Key, positions));
            }
        }

        SelectionResolver resolver = new(_hooks, batch);
        foreach (IGrouping<(int? Vector, string), (int Row, int? Vector, int[] Positions)> alike in changes.GroupBy(change => (change.Vector, string.Join(',', change.Positions))))
        {
            ActivationSelector selector = Bare(rule.Intervention.Selector) with { Rows = [.. alike.Select(change => change.Row).Distinct()], Positions = alike.First().Positions };
            InterventionOperation operation = rule.OperationWith(alike.Key.Vector);
            if (operation is InterventionOperation.Noise noise) operation = noise with { Seed = unchecked((long)new SeededRandom(noise.Seed, step).NextBits()) };
            yield return ResolvedIntervention.Resolve(new Intervention(selector, operation, AllowUnfired: true), resolver, $"{FieldOf(index)}.intervention", index);
        }
    }

    /// <summary>Whether a sequence is one of the rule's share, and the vector that it gets if the rule lets chance choose.</summary>
    private (bool IsDrawn, int? Vector) Draw(InterventionRule rule, int index, long step, int row)
    {
        long ofRule = unchecked((long)new SeededRandom(_seed, index).NextBits());
        long ofStep = unchecked((long)new SeededRandom(ofRule, step).NextBits());
        SeededRandom random = new(ofStep, row);
        if ((random.NextBits() >> 11) * (1.0 / (1L << 53)) >= rule.Fraction) return (false, null);
        return (true, rule.Vectors.Count > 0 && rule.Phrase.Count == 0 ? random.Next(rule.Vectors.Count) : null);
    }

    private IReadOnlyList<int> PositionsOf(InterventionRule rule, int row, TokenBatch batch, int index) =>
        new SelectionResolver(_hooks, batch).Resolve(rule.Intervention.Selector with { Rows = [row] }, $"{FieldOf(index)}.intervention.selector")[0].Positions.Single().Positions;

    /// <summary>The hooks, heads and channels of a selector alone.</summary>
    private static ActivationSelector Bare(ActivationSelector selector) => new(selector.Hook)
    {
        Hooks = selector.Hooks,
        Layers = selector.Layers,
        Heads = selector.Heads,
        Channels = selector.Channels,
    };
}
