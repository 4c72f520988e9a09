using System.Runtime.InteropServices;
using Lab.Models.Interventions;
using static TorchSharp.torch;

namespace Lab.Models.Statistics;

/// <summary>Adds selected activations of one pass to statistics, without keeping them.</summary>
public sealed class StatisticsTap : IActivationTap
{
    /// <summary>The most elements that are copied to the host at a time.</summary>
    private const int MaxElements = 1 << 24;

    private readonly ILookup<int, ResolvedSelection> _byHook;
    private readonly IReadOnlyDictionary<string, ActivationStatistics> _statistics;
    private readonly TokenBatch _batch;
    private readonly TokenFilter _filter;
    private readonly IReadOnlyList<RowOrigin> _rows;
    private readonly CancellationToken _ct;
    private readonly bool _hasTwin;
    private readonly Dictionary<TokenSelection, (long[] Indices, TokenOrigin[] Origins)> _tokens = [];

    /// <summary>A tap for one pass.</summary>
    /// <param name="selections">What to add, resolved for the batch.</param>
    /// <param name="statistics">What <see cref="Create"/> gave for the same selectors, by hook.</param>
    /// <param name="batch">The tokens.</param>
    /// <param name="filter">Which tokens are left out; by default none.</param>
    /// <param name="rows">Where the batch's rows come from; by default each is a document of its own, numbered from 0.</param>
    /// <param name="hasTwin">Whether the pass has the rows twice, [clean rows; changed rows]: then the second half counts.</param>
    /// <param name="ct">Checked at every one of the hooks.</param>
    public StatisticsTap(
        IReadOnlyList<ResolvedSelection> selections,
        IReadOnlyDictionary<string, ActivationStatistics> statistics,
        TokenBatch batch,
        TokenFilter? filter = null,
        IReadOnlyList<RowOrigin>? rows = null,
        bool hasTwin = false,
        CancellationToken ct = default)
    {
        _byHook = selections.ToLookup(selection => selection.Hook.Index);
        (_statistics, _batch, _filter, _ct, _hasTwin) = (statistics, batch, filter ?? new TokenFilter(), ct, hasTwin);
        _rows = rows ?? [.. Enumerable.Range(0, batch.Count).Select(row => new RowOrigin(row, 0))];
    }

    /// <summary>Empty statistics for what is selected, by the hooks' canonical names.</summary>
    /// <param name="selections">At different hooks.</param>
    /// <param name="options">What to keep.</param>
    /// <param name="field">The path of the selectors, for errors: "hooks".</param>
    /// <exception cref="ArgumentException">
    /// Two selectors match one hook, one names a head or channel twice, a hook has attention scores or probabilities, whose size depends on the input, or an option is unlawful.
    /// </exception>
    public static IReadOnlyDictionary<string, ActivationStatistics> Create(IReadOnlyList<ResolvedSelection> selections, StatisticsOptions options, string field = "hooks")
    {
        Require(selections, field);
        return selections.ToDictionary(
            selection => selection.Hook.Name, selection => new ActivationStatistics(selection.Hook.Name, [.. selection.Shape.Skip(2)], options));
    }

    /// <summary>Requires that there can be statistics of what is selected.</summary>
    /// <exception cref="ArgumentException">As in <see cref="Create"/>, but for the options.</exception>
    public static void Require(IReadOnlyList<ResolvedSelection> selections, string field = "hooks")
    {
        HashSet<string> hooks = [];
        foreach (ResolvedSelection selection in selections)
        {
            string hook = selection.Hook.Name;
            if (selection.IsAttention) throw new ArgumentException($"{hook} has no channels: its last dimension is the key position, so that there are no statistics of it.", field);
            if (selection.HasDuplicateChannels) throw new ArgumentException($"A head or channel of {hook} is named twice, and would count twice in the tokens' norms.", field);
            if (!hooks.Add(hook)) throw new ArgumentException($"{hook} is matched twice.", field);
        }
    }

    /// <inheritdoc/>
    public bool Wants(HookPoint hook) => _byHook.Contains(hook.Index);

    /// <inheritdoc/>
    public Tensor At(HookPoint hook, Tensor x)
    {
        using var noGrad = no_grad();
        using var outer = NewDisposeScope();
        Tensor own = _hasTwin ? x.narrow(0, x.shape[0] / 2, x.shape[0] / 2) : x;
        ActivationStatistics statistics = _statistics[hook.Name];
        int step = Math.Max(1, MaxElements / statistics.Channels);
        foreach (ResolvedSelection selection in _byHook[hook.Index])
        {
            (long[] indices, TokenOrigin[] origins) = TokensOf(selection.Tokens);
            for (int from = 0; from < origins.Length; from += step)
            {
                _ct.ThrowIfCancellationRequested();
                int to = Math.Min(origins.Length, from + step);
                using var scope = NewDisposeScope();

                // Where nothing is left out, the values are read where they lie.
                Tensor tokens = selection.Tokens.IsWhole && indices.Length == (long)_batch.Count * _batch.Length
                    ? selection.Narrow(selection.TokenMajor(own).narrow(0, from, to - from))
                    : selection.At(own, indices[from..to]);
                Tensor host = tokens.detach().to(ScalarType.Float32).cpu().contiguous();
                statistics.Add(MemoryMarshal.Cast<byte, float>(host.bytes), origins.AsSpan(from, to - from));
            }
        }

        return x;
    }

    /// <summary>The tokens of a selection that count, each once however often it is named: in the batch flattened to [batch x pos], and where they come from.</summary>
    private (long[] Indices, TokenOrigin[] Origins) TokensOf(TokenSelection selection)
    {
        if (_tokens.TryGetValue(selection, out var known)) return known;
        List<long> indices = [];
        List<TokenOrigin> origins = [];
        foreach (long index in selection.Distinct().PresentTokens().Tokens)
        {
            (int row, int position) = Math.DivRem((int)index, _batch.Length);
            int token = _batch.Rows[row][position];
            if (!_filter.Keeps(position, token)) continue;
            indices.Add(index);
            origins.Add(new TokenOrigin(_rows[row].Document, _rows[row].FirstPosition + position, token));
        }

        return _tokens[selection] = ([.. indices], [.. origins]);
    }
}
