using System.Text.RegularExpressions;

namespace Lab.Models.Interventions;

/// <summary>Turns selectors into hooks and indices for one batch, and refuses what is not there.</summary>
/// <param name="hooks">The model's hooks.</param>
/// <param name="lengths">Tokens in each row of the batch.</param>
/// <param name="reach">
/// The length that rows may still grow to, for generation: positions below it are accepted, and not selected until a row has
/// them. By default the lengths themselves.
/// </param>
public sealed class SelectionResolver(HookCatalog hooks, IReadOnlyList<int> lengths, int reach = 0)
{
    /// <summary>The most tokens that one selector may name, padding included.</summary>
    private const long MaxTokens = 1 << 26;

    private readonly int _length = lengths.Max();

    /// <summary>Tokens in each row of the batch.</summary>
    public IReadOnlyList<int> Lengths => lengths;

    /// <summary>Resolves a selector at every hook that it matches, in the order of the forward pass.</summary>
    /// <param name="selector">The selector.</param>
    /// <param name="field">Its path, for errors: "captures[0]".</param>
    /// <exception cref="InvalidSelectionException">It matches no hook, or an index is out of range.</exception>
    public IReadOnlyList<ResolvedSelection> Resolve(ActivationSelector selector, string field)
    {
        IReadOnlyList<HookPoint> matched = Match(selector.Hook, $"{field}.hook");
        string first = matched[0].Name;
        for (int i = 0; i < selector.Rows.Count; i++) RequireRow(selector.Rows[i], $"{field}.rows[{i}]", first);
        IReadOnlyList<int>? rows = NullIfEmpty(selector.Rows);
        RequirePositions(selector.Positions, rows ?? [.. Enumerable.Range(0, lengths.Count)], field, first);
        TokenSelection tokens = new(lengths, rows, NullIfEmpty(selector.Positions));
        return [.. matched.Select(hook =>
        {
            RequireHeads(selector.Heads, hook, $"{field}.heads");
            RequireChannels(selector.Channels, hook, $"{field}.channels");
            return new ResolvedSelection(hook, tokens, NullIfEmpty(selector.Heads), NullIfEmpty(selector.Channels), _length);
        })];
    }

    /// <summary>Requires that a row is in the batch.</summary>
    internal void RequireRow(int row, string field, string hook)
    {
        if ((uint)row >= (uint)lengths.Count)
        {
            throw new InvalidSelectionException(field, $"Row {row} of {hook} is out of range: the batch has {lengths.Count} rows, from 0.");
        }
    }

    private IReadOnlyList<HookPoint> Match(string hook, string field)
    {
        if (hook.Length == 0) throw new InvalidSelectionException(field, "A hook is required.");
        if (hooks.Find(hook) is { } exact) return [exact];
        IReadOnlyList<HookPoint> matched = hook.Contains('*', StringComparison.Ordinal)
            ? [.. hooks.All.Where(candidate => (!candidate.IsOnRequest || LastPart(hook) == LastPart(candidate.Name)) && Regex.IsMatch(candidate.Name, Pattern(hook), RegexOptions.NonBacktracking))]
            : [];
        return matched.Count > 0 ? matched : throw new InvalidSelectionException(
            field, $"No hook matches '{hook}': the model has {hooks.All.Count}, from {hooks.All[0].Name} to {hooks.All[^1].Name}.");
    }

    /// <summary>Hooks on request are large: a glob must name their kind.</summary>
    private static string LastPart(string name) => name[(name.LastIndexOf('.') + 1)..];

    private static string Pattern(string glob) => $@"\A{Regex.Escape(glob).Replace(@"\*", "[^.]*", StringComparison.Ordinal)}\z";

    private void RequirePositions(IReadOnlyList<int> positions, IReadOnlyList<int> rows, string field, string hook)
    {
        long places = rows.Count * (positions.Count == 0 ? (long)_length : positions.Count);
        if (places > MaxTokens) throw new InvalidSelectionException($"{field}.positions", $"The selector names {places} tokens of {hook}; the most is {MaxTokens}.");
        if (positions.Count == 0) return;
        int shortest = rows.MinBy(row => lengths[row]);
        int length = lengths[shortest];
        for (int i = 0; i < positions.Count; i++)
        {
            if (positions[i] < -length || positions[i] >= Math.Max(length, reach))
            {
                throw new InvalidSelectionException(
                    $"{field}.positions[{i}]", $"Position {positions[i]} of {hook} is out of range: row {shortest} has {Math.Max(length, reach)} tokens.");
            }
        }
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
            {
                throw new InvalidSelectionException($"{field}[{i}]", $"{what} {indices[i]} of {hook.Name} is out of range: it has {bound}, from 0.");
            }
        }
    }

    private static IReadOnlyList<int>? NullIfEmpty(IReadOnlyList<int> indices) => indices.Count == 0 ? null : indices;
}
