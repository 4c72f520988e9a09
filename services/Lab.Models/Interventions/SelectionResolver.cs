namespace Lab.Models.Interventions;

/// <summary>Turns selectors into hooks and tokens of one pass, and refuses what is not there.</summary>
/// <param name="hooks">The model's hooks.</param>
/// <param name="batch">The tokens of the pass.</param>
/// <param name="reach">
/// The length that rows may still grow to, for generation: positions below it are accepted, and not selected until a row has
/// them. 0 where nothing is generated.
/// </param>
/// <param name="at">The step of decoding, where each row of the pass is its one new token; null for whole rows.</param>
public sealed class SelectionResolver(HookCatalog hooks, TokenBatch batch, int reach = 0, StepPosition? at = null)
{
    /// <summary>The most tokens that the selectors of a request may name together, padding included: each of them takes memory before anything is admitted.</summary>
    private const long MaxTokens = 1 << 23;

    /// <summary>The most comparisons of tokens with ranges and texts: some seconds.</summary>
    private const long MaxWork = 1 << 30;

    /// <summary>The most ranges, texts or further hooks that one selector may name: each of them is looked for at every token or hook.</summary>
    private const int MaxNames = 1024;

    private readonly int _past = at?.Past ?? 0;
    private long _tokens;
    private long _work;

    /// <summary>The model's hooks.</summary>
    internal HookCatalog Hooks => hooks;

    /// <summary>The tokens of the pass.</summary>
    internal TokenBatch Batch => batch;

    /// <summary>The step of decoding, or null.</summary>
    internal StepPosition? At => at;

    /// <summary>Whether the rows are or will be decoded beyond this pass.</summary>
    internal bool IsDecoding => at is not null || reach > batch.Length;

    private bool IsGeneration => at is not null || reach > 0;

    /// <summary>Resolves a selector at every hook that it matches, in the order of the forward pass.</summary>
    /// <param name="selector">The selector.</param>
    /// <param name="field">Its path, for errors: "captures[0]".</param>
    /// <param name="index">The number of what it belongs to, in the request.</param>
    /// <exception cref="InvalidSelectionException">It matches no hook, or an index is out of range.</exception>
    public IReadOnlyList<ResolvedSelection> Resolve(ActivationSelector selector, string field, int index = 0)
    {
        RequireCount(selector.Hooks.Count, $"{field}.hooks");
        IReadOnlyList<HookPoint> matched = HookMatcher.Match(hooks, selector, field);
        TokenRule rule = ResolveTokens(selector, field, matched[0].Name);
        TokenSelection tokens = rule.Select(batch, at);
        return [.. matched.Select(hook =>
        {
            RequireHeads(selector.Heads, hook, $"{field}.heads");
            RequireChannels(selector.Channels, hook, $"{field}.channels");
            return new ResolvedSelection(hook, rule, tokens, NullIfEmpty(selector.Heads), NullIfEmpty(selector.Channels), index);
        })];
    }

    /// <summary>Checks which tokens a selector means.</summary>
    internal TokenRule ResolveTokens(ActivationSelector selector, string field, string place)
    {
        RequireCount(selector.PositionRanges.Count, $"{field}.position_ranges");
        RequireCount(selector.Texts.Count, $"{field}.texts");
        for (int i = 0; i < selector.Rows.Count; i++) RequireRow(selector.Rows[i], $"{field}.rows[{i}]", place);
        RequirePositions(selector, NullIfEmpty(selector.Rows) ?? [.. Enumerable.Range(0, batch.Count)], field, place);
        for (int i = 0; i < selector.TokenIds.Count; i++)
        {
            if ((uint)selector.TokenIds[i] >= (uint)hooks.Config.DVocab)
                throw new InvalidSelectionException($"{field}.token_ids[{i}]", $"Token {selector.TokenIds[i]} is out of range: the vocabulary has {hooks.Config.DVocab} tokens, from 0.");
        }

        (IReadOnlyList<HashSet<int>>? texts, IReadOnlyList<int>? starts) = at is null ? TextResolver.Resolve(selector, batch, field) : (null, null);
        if (selector.Phase == GenerationPhase.Decode && !IsGeneration) throw new InvalidSelectionException($"{field}.phase", "There is no decoding in this call: it has only a prefill.");
        if (selector.Steps is { } steps) RequireSteps(selector, steps, $"{field}.steps");
        return new TokenRule(selector, texts, starts);
    }

    /// <summary>Requires that a row is in the batch.</summary>
    internal void RequireRow(int row, string field, string place)
    {
        if ((uint)row >= (uint)batch.Count)
            throw new InvalidSelectionException(field, $"Row {row} of {place} is out of range: the batch has {batch.Count} rows, from 0.");
    }

    private void RequireSteps(ActivationSelector selector, IndexRange steps, string field)
    {
        if (!IsGeneration) throw new InvalidSelectionException(field, "There are no steps of decoding in this call: it has only a prefill.");
        if (selector.Phase == GenerationPhase.Prefill) throw new InvalidSelectionException(field, "The prefill is none of the steps of decoding.");
        if (steps.First < 0) throw new InvalidSelectionException($"{field}.first", $"Steps are counted from 0, not {steps.First}.");
        if (steps.Last < steps.First) throw new InvalidSelectionException($"{field}.last", $"The last step, {steps.Last}, is before the first, {steps.First}.");
    }

    private void RequirePositions(ActivationSelector selector, IReadOnlyList<int> rows, string field, string place)
    {
        RequireTokens(selector, rows.Count, field, place);
        for (int i = 0; i < selector.PositionRanges.Count; i++)
        {
            IndexRange range = selector.PositionRanges[i];
            if (range.Last is { } last && last < 0 == range.First < 0 && last < range.First)
                throw new InvalidSelectionException($"{field}.position_ranges[{i}].last", $"The last position, {last}, is before the first, {range.First}.");
        }

        int shortest = rows.MinBy(row => batch.Lengths[row]);
        int length = batch.Lengths[shortest] + _past, most = Math.Max(length, reach);
        for (int i = 0; i < selector.Positions.Count; i++) Require(selector.Positions[i], $"{field}.positions[{i}]");
        if (selector.From is { } from) Require(from, $"{field}.from.position");

        void Require(int position, string path)
        {
            if (position < -length || position >= most)
                throw new InvalidSelectionException(path, $"Position {position} of {place} is out of range: row {shortest} has {most} tokens.");
        }
    }

    private void RequireTokens(ActivationSelector selector, int rows, string field, string place)
    {
        int names = selector.PositionRanges.Count + selector.Texts.Count;
        bool isNarrowed = selector.From is not null || selector.FromText is not null;
        if (names + selector.Positions.Count + selector.TokenIds.Count + selector.Rows.Count == 0 && !isNarrowed) return;
        bool isListed = selector.Positions.Count > 0 && names + selector.TokenIds.Count == 0 && !isNarrowed;
        long tokens = (long)rows * (isListed ? selector.Positions.Count : Math.Max(batch.Length, selector.Positions.Count));
        _tokens += tokens;
        _work += tokens * names;
        if (_tokens > MaxTokens)
            throw new InvalidSelectionException($"{field}.positions", $"The selector names {tokens} tokens of {place}, and all so far {_tokens}; the most is {MaxTokens}. Send fewer rows at a time.");
        if (_work > MaxWork)
            throw new InvalidSelectionException(field, $"The ranges and texts of all selectors so far take {_work} comparisons with tokens; the most is {MaxWork}. Send fewer rows at a time.");
    }

    private static void RequireCount(int count, string field)
    {
        if (count > MaxNames) throw new InvalidSelectionException(field, $"There are {count}; the most is {MaxNames}.");
    }

    private static void RequireHeads(IReadOnlyList<int> heads, HookPoint hook, string field)
    {
        if (heads.Count == 0) return;
        if (!hook.HasHeads) throw new InvalidSelectionException(field, $"{hook.Name} has no heads.");
        RequireIndices(heads, hook, hook.HeadCount, field, "Head");
    }

    private static void RequireChannels(IReadOnlyList<int> channels, HookPoint hook, string field)
    {
        if (channels.Count == 0) return;
        if (hook.IsAttention) throw new InvalidSelectionException(field, $"{hook.Name} has no channels: its last dimension is the key position.");
        RequireIndices(channels, hook, hook.Channels, field, "Channel");
    }

    private static void RequireIndices(IReadOnlyList<int> indices, HookPoint hook, long bound, string field, string what)
    {
        for (int i = 0; i < indices.Count; i++)
        {
            if (indices[i] < 0 || indices[i] >= bound)
                throw new InvalidSelectionException($"{field}[{i}]", $"{what} {indices[i]} of {hook.Name} is out of range: it has {bound}, from 0.");
        }
    }

    private static IReadOnlyList<int>? NullIfEmpty(IReadOnlyList<int> indices) => indices.Count == 0 ? null : indices;
}
