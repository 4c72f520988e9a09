using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.Models.Interventions;

/// <summary>A selector at one hook, with every index checked. Made by <see cref="SelectionResolver"/>.</summary>
public sealed class ResolvedSelection
{
    private readonly IReadOnlyList<int>? _heads;
    private readonly IReadOnlyList<int>? _channels;

    internal ResolvedSelection(HookPoint hook, TokenSelection tokens, IReadOnlyList<int>? heads, IReadOnlyList<int>? channels, int length)
    {
        Hook = hook;
        Tokens = tokens;
        (_heads, _channels) = (heads, channels);
        IsAttention = hook.IsAttention;
        long headCount = hook.HasHeads ? heads?.Count ?? hook.HeadCount : 1;
        Shape = IsAttention ? [tokens.Rows.Count, headCount, tokens.PositionCount, length]
            : hook.HasHeads ? [tokens.Rows.Count, tokens.PositionCount, headCount, channels?.Count ?? hook.Channels]
            : [tokens.Rows.Count, tokens.PositionCount, channels?.Count ?? hook.Channels];
    }

    /// <summary>Where.</summary>
    public HookPoint Hook { get; }

    /// <summary>The selected elements' shape, dimensions as the hook's, the longest row's length where all positions are selected.</summary>
    public IReadOnlyList<long> Shape { get; }

    /// <summary>Selected elements, padding included.</summary>
    public Int128 ElementCount => Shape.Aggregate((Int128)1, (product, size) => product * size);

    internal TokenSelection Tokens { get; }

    internal bool IsAttention { get; }

    /// <summary>The selected elements of an activation, zero in padding.</summary>
    /// <returns>Of <see cref="Shape"/>; may be a view of <paramref name="x"/>.</returns>
    internal Tensor Gather(Tensor x)
    {
        if (Tokens is { IsWhole: true, IsComplete: true } && _heads is null && _channels is null) return x.alias();
        using var scope = NewDisposeScope();
        Tensor selected = Narrow(Pick(TokenMajor(x), Tokens.IsWhole ? null : Tokens.AllTokens()));
        selected = selected.reshape([Tokens.Rows.Count, Tokens.PositionCount, .. selected.shape[1..]]);
        if (!Tokens.IsComplete) selected = selected.masked_fill(Padding(selected, Tokens.PositionCount, (row, j) => !Tokens.IsPresent(row, j), 1), 0);
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
        Tensor changed = change(selected, tokens).expand(selected.shape);

        // Above the diagonal and on padded keys there is no attention to change: a value there would see the future.
        if (IsAttention) changed = where(Visible(x, tokens), changed, selected);
        if (_channels is not null)
        {
            Tensor heads = _heads is null ? picked : picked.index_select(1, Index(_heads, x));
            changed = heads.index_copy(-1, Index(_channels, x), changed);
        }

        if (_heads is not null) changed = picked.index_copy(1, Index(_heads, x), changed);
        Tensor result = tokens is null ? changed : all.index_copy(0, Index(tokens, x), changed);
        return (IsAttention
            ? result.view(x.shape[0], x.shape[2], x.shape[1], x.shape[3]).transpose(1, 2)
            : result.reshape(x.shape)).MoveToOuterDisposeScope();
    }

    /// <summary>The elements of other tokens at the selected heads and channels: [tokens, (heads,) channels].</summary>
    internal Tensor At(Tensor x, long[] tokens) => Narrow(Pick(TokenMajor(x), tokens));

    /// <summary>A value in the layout of <see cref="Replace"/>'s selection, ready to broadcast against it.</summary>
    internal Tensor Broadcast(HostTensor value, Tensor x)
    {
        Tensor given = value.ToTorch(x.device);
        if (value.ElementCount == 1) return given.view(1);
        int perToken = IsAttention ? 1 : Shape.Count - 2;
        if (value.Shape.Length <= perToken) return given;
        Tensor full = given.expand([.. Shape]);
        full = (IsAttention ? full.transpose(1, 2) : full).flatten(0, 1);                            // (R*P, ...)
        return Tokens.IsComplete ? full : full.index_select(0, Index(Tokens.PresentTokens().Places, x));
    }

    /// <summary>Means, [channels] or [heads x channels], in the layout of <see cref="Replace"/>'s selection.</summary>
    internal static Tensor BroadcastMeans(HostTensor means, Tensor selected)
    {
        Tensor given = means.ToTorch(selected.device);
        return means.ElementCount == selected.shape[^1] ? given.view(-1) : given.view(selected.shape[1], selected.shape[2]);
    }

    /// <summary>[batch, pos, ...] flattened to [batch x pos, ...]; for attention [batch x query, head, key].</summary>
    internal Tensor TokenMajor(Tensor x) => (IsAttention ? x.transpose(1, 2) : x).flatten(0, 1);

    /// <summary>The selected heads and channels of the last dimensions.</summary>
    internal Tensor Narrow(Tensor tokens)
    {
        if (_heads is not null) tokens = tokens.index_select(1, Index(_heads, tokens));
        return _channels is null ? tokens : tokens.index_select(-1, Index(_channels, tokens));
    }

    private static Tensor Pick(Tensor all, long[]? tokens) => tokens is null ? all : all.index_select(0, Index(tokens, all));

    private static Tensor Index(long[] indices, Tensor like) => tensor(indices, device: like.device);

    private static Tensor Index(IReadOnlyList<int> indices, Tensor like) => Index([.. indices.Select(index => (long)index)], like);

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

    /// <summary>Which keys a token may attend to: [tokens, 1, key].</summary>
    private static Tensor Visible(Tensor x, long[]? tokens)
    {
        long length = x.shape[^1];
        Tensor causal = ones(length, length, dtype: ScalarType.Bool, device: x.device).tril();       // (Q, K)
        Tensor index = tokens is null ? arange(x.shape[0] * length, device: x.device) : Index(tokens, x);
        return causal.index_select(0, index.remainder(length)).unsqueeze(1);
    }
}
