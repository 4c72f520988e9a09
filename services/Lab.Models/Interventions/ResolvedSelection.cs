using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.Models.Interventions;

/// <summary>A selector at one hook in one pass, with every index checked. Made by <see cref="SelectionResolver"/>.</summary>
public sealed class ResolvedSelection
{
    private readonly IReadOnlyList<int>? _heads;
    private readonly IReadOnlyList<int>? _channels;

    internal ResolvedSelection(HookPoint hook, TokenRule rule, TokenSelection tokens, IReadOnlyList<int>? heads, IReadOnlyList<int>? channels, int index)
    {
        (Hook, Rule, Tokens, Index) = (hook, rule, tokens, index);
        (_heads, _channels) = (heads, channels);
        IsAttention = hook.IsAttention;
        Shape = ShapeOf(tokens.PositionCount);
        ValueShape = ShapeOf(tokens.PlaceCount);
    }

    /// <summary>Where.</summary>
    public HookPoint Hook { get; }

    /// <summary>The number of the capture or intervention in the request that it belongs to.</summary>
    public int Index { get; }

    /// <summary>The selected elements' shape, dimensions as the hook's, the longest row's length where all positions are selected.</summary>
    public IReadOnlyList<long> Shape { get; }

    /// <summary>Selected elements, padding included.</summary>
    public Int128 ElementCount => Shape.Aggregate((Int128)1, (product, size) => product * size);

    /// <summary>Tokens that it selects in this pass. A pass of a generation may have none.</summary>
    public int TokenCount => Tokens.PresentCount;

    /// <summary>Whether the selector names positions or narrows them, so that <see cref="Positions"/> says more than the shape.</summary>
    public bool NamesPositions => Tokens.NamesPositions;

    /// <summary>For each selected row the positions that it has, in the order of <see cref="Shape"/>, generated ones counted on from the prompt.</summary>
    public IEnumerable<(int Row, IReadOnlyList<int> Positions)> Positions =>
        Tokens.Rows.Select((row, i) => (row, (IReadOnlyList<int>)[.. Enumerable.Range(0, Tokens.CountOf(i)).Select(j => Tokens.PositionAt(i, j))]));

    internal TokenRule Rule { get; }

    internal TokenSelection Tokens { get; }

    internal bool IsAttention { get; }

    /// <summary>The shape that values by row and position have: a place for each position that is named, whether this pass has it or not.</summary>
    internal IReadOnlyList<long> ValueShape { get; }

    /// <summary>Whether some head or channel is selected more than once.</summary>
    internal bool HasDuplicateChannels => _heads?.Distinct().Count() != _heads?.Count || _channels?.Distinct().Count() != _channels?.Count;

    /// <summary>Whether heads or channels are named.</summary>
    internal bool HasChannels => _heads is not null || _channels is not null;

    /// <summary>The same heads and channels of other tokens.</summary>
    internal ResolvedSelection With(TokenSelection tokens) => new(Hook, Rule, tokens, _heads, _channels, Index);

    /// <summary>Each token, head and channel once, so that a gradient reaches each once.</summary>
    internal ResolvedSelection Distinct() => new(Hook, Rule, Tokens.Distinct(), _heads?.Distinct().ToArray(), _channels?.Distinct().ToArray(), Index);

    /// <summary>The selected elements of an activation, zero in padding.</summary>
    /// <returns>Of <see cref="Shape"/>; may be a view of <paramref name="x"/>.</returns>
    internal Tensor Gather(Tensor x)
    {
        if (Tokens is { IsWhole: true, IsComplete: true } && _heads is null && _channels is null) return x.alias();
        using var scope = NewDisposeScope();
        Tensor selected = Narrow(Pick(TokenMajor(x), Tokens.IsWhole ? null : Tokens.AllTokens()));
        selected = selected.reshape([Tokens.Rows.Count, Tokens.PositionCount, .. selected.shape[1..]]);
        if (!Tokens.IsComplete) selected = selected.masked_fill(Padding(selected, Tokens.PositionCount, (row, j) => j >= Tokens.CountOf(row), 1), 0);
        if (!IsAttention) return selected.MoveToOuterDisposeScope();
        if (Tokens.IsRagged)
        {
            selected = selected.masked_fill(Padding(selected, x.shape[^1], (row, key) => key >= Tokens.LengthOf(row), selected.dim() - 1), 0);
        }

        return selected.transpose(1, 2).MoveToOuterDisposeScope();                                  // (R, H, Q, K)
    }

    /// <summary>Replaces the selected elements that exist; padding stays as it is.</summary>
    /// <param name="x">The activation.</param>
    /// <param name="change">
    /// From what is selected, [tokens, (heads,) channels], and the tokens' indices in the flattened batch (null for all of them in
    /// order) to what takes its place, which may broadcast.
    /// </param>
    /// <returns>A tensor of equal shape; <paramref name="x"/> is not changed.</returns>
    internal Tensor Replace(Tensor x, Func<Tensor, long[]?, Tensor> change)
    {
        using var scope = NewDisposeScope();
        long[]? tokens = Tokens is { IsWhole: true, IsComplete: true } ? null : Tokens.PresentTokens().Tokens;
        Tensor all = TokenMajor(x);
        Tensor picked = Pick(all, tokens);
        Tensor selected = Narrow(picked);
        Tensor changed;
        if (IsAttention)
        {
            // Above the diagonal and on padded keys there is no attention to change: a value there would see the future. Minus infinity
            // there must not reach the operation: its gradient would not be a number.
            Tensor visible = Visible(x, tokens);
            changed = where(visible, change(selected.masked_fill(visible.logical_not(), 0), tokens), selected);
        }
        else
        {
            changed = change(selected, tokens).expand(selected.shape);
        }

        if (_channels is not null)
        {
            Tensor heads = _heads is null ? picked : picked.index_select(1, Index64(_heads, x));
            changed = heads.index_copy(-1, Index64(_channels, x), changed);
        }

        if (_heads is not null) changed = picked.index_copy(1, Index64(_heads, x), changed);
        Tensor result = tokens is null ? changed : all.index_copy(0, Index64(tokens, x), changed);
        return (IsAttention
            ? result.view(x.shape[0], x.shape[2], x.shape[1], x.shape[3]).transpose(1, 2)
            : result.reshape(x.shape)).MoveToOuterDisposeScope();
    }

    /// <summary>The elements of other tokens at the selected heads and channels: [tokens, (heads,) channels].</summary>
    internal Tensor At(Tensor x, long[] tokens) => Narrow(Pick(TokenMajor(x), tokens));

    /// <summary>The Euclidean norms of whole tokens at the selected heads: [tokens, (heads,) 1].</summary>
    /// <param name="x">The activation.</param>
    /// <param name="tokens">The tokens; null for all.</param>
    internal Tensor Norms(Tensor x, long[]? tokens)
    {
        Tensor picked = Pick(TokenMajor(x), tokens);
        if (_heads is not null) picked = picked.index_select(1, Index64(_heads, picked));
        return linalg.vector_norm(picked, 2, [-1], keepdim: true);
    }

    /// <summary>The selected channels, of all heads counted through: channel c of head h is h x channels + c.</summary>
    internal long[] ChannelNumbers()
    {
        IEnumerable<long> heads = !Hook.HasHeads ? [0] : _heads?.Select(head => (long)head) ?? Enumerable.Range(0, (int)Hook.HeadCount).Select(head => (long)head);
        long[] channels = [.. _channels?.Select(channel => (long)channel) ?? Enumerable.Range(0, (int)Hook.Channels).Select(channel => (long)channel)];
        return [.. heads.SelectMany(head => channels.Select(channel => (head * Hook.Channels) + channel))];
    }

    /// <summary>A value in the layout of <see cref="Replace"/>'s selection, ready to broadcast against it.</summary>
    internal Tensor Broadcast(Tensor value)
    {
        if (value.numel() == 1) return value.view(1);
        int perToken = IsAttention ? 1 : ValueShape.Count - 2;
        if (value.dim() <= perToken) return value;
        Tensor full = value.expand([.. ValueShape]);
        full = (IsAttention ? full.transpose(1, 2) : full).flatten(0, 1);                            // (R*P, ...)
        return Tokens.IsInPlace ? full : full.index_select(0, Index64(Tokens.PresentTokens().Places, value));
    }

    /// <summary>Scores or probabilities, zero where a query must not look.</summary>
    internal Tensor ZeroUnseen(Tensor x) => x.masked_fill(Seen(x).logical_not(), 0);

    /// <summary>[batch, pos, ...] flattened to [batch x pos, ...]; for attention [batch x query, head, key].</summary>
    internal Tensor TokenMajor(Tensor x) => (IsAttention ? x.transpose(1, 2) : x).flatten(0, 1);

    /// <summary>The selected heads and channels of the last dimensions.</summary>
    internal Tensor Narrow(Tensor tokens)
    {
        if (_heads is not null) tokens = tokens.index_select(1, Index64(_heads, tokens));
        return _channels is null ? tokens : tokens.index_select(-1, Index64(_channels, tokens));
    }

    private static Tensor Pick(Tensor all, long[]? tokens) => tokens is null ? all : all.index_select(0, Index64(tokens, all));

    private static Tensor Index64(long[] indices, Tensor like) => tensor(indices, device: like.device);

    private static Tensor Index64(IReadOnlyList<int> indices, Tensor like) => Index64([.. indices.Select(index => (long)index)], like);

    private long[] ShapeOf(int positions)
    {
        long heads = Hook.HasHeads ? _heads?.Count ?? Hook.HeadCount : 1;
        return IsAttention ? [Tokens.Rows.Count, heads, positions, Tokens.Past + Tokens.Length]
            : Hook.HasHeads ? [Tokens.Rows.Count, positions, heads, _channels?.Count ?? Hook.Channels]
            : [Tokens.Rows.Count, positions, _channels?.Count ?? Hook.Channels];
    }

    /// <summary>A mask [rows, 1.., size, ..1] that broadcasts over <paramref name="selected"/> with size at the given dimension.</summary>
    private Tensor Padding(Tensor selected, long size, Func<int, int, bool> isPadding, long dimension)
    {
        bool[] mask = new bool[Tokens.Rows.Count * size];
        for (int row = 0; row < Tokens.Rows.Count; row++)
        {
            for (int i = 0; i < size; i++) mask[(row * size) + i] = isPadding(row, i);
        }

        long[] shape = [.. Enumerable.Repeat(1L, (int)selected.dim())];
        (shape[0], shape[dimension]) = (Tokens.Rows.Count, size);
        return tensor(mask, device: selected.device).view(shape);
    }

    /// <summary>Which keys each query looks at: [query, key].</summary>
    private Tensor Seen(Tensor x)
    {
        (long queries, long keys) = (x.shape[^2], x.shape[^1]);
        Tensor seen = ones(queries, keys, dtype: ScalarType.Bool, device: x.device).tril(keys - queries);
        return Hook.Window >= keys ? seen : seen.logical_and(ones_like(seen).triu(keys - queries - Hook.Window + 1));
    }

    /// <summary>Which keys a token may attend to: [tokens, 1, key].</summary>
    private Tensor Visible(Tensor x, long[]? tokens)
    {
        long queries = x.shape[^2];
        Tensor index = tokens is null ? arange(x.shape[0] * queries, device: x.device) : Index64(tokens, x);
        return Seen(x).index_select(0, index.remainder(queries)).unsqueeze(1);
    }
}
