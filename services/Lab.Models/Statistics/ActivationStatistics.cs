using Lab.Tensors;

namespace Lab.Models.Statistics;

/// <summary>
/// Statistics of the activations at one hook, over tokens that are added batch by batch. Two that saw different tokens merge into what one
/// would have that saw all of them, in any order: exactly for counts, extremes, quantiles and tokens, to the rounding of double for moments.
/// A token with an element that is not finite counts in <see cref="NonFiniteCount"/> and nowhere else. Not safe for use by several threads at once.
/// </summary>
public sealed class ActivationStatistics
{
    /// <summary>The most tokens that one hook's statistics may cover.</summary>
    public const long MaxTokens = int.MaxValue;

    /// <summary>The most channels of a hook, heads included.</summary>
    public const int MaxChannels = 1 << 24;

    private const int WorkWorthAThread = 1 << 17;

    private ActivationTile? _tile;
    private TokenOrigin? _last;

    /// <summary>Statistics of no tokens yet.</summary>
    /// <param name="hook">The hook's canonical name.</param>
    /// <param name="shape">The sizes for one token: [channels] or [heads, channels of a head].</param>
    /// <param name="options">What to keep; by default everything but the covariance.</param>
    /// <exception cref="ArgumentException">The shape or an option is unlawful.</exception>
    public ActivationStatistics(string hook, IReadOnlyList<long> shape, StatisticsOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(hook);
        if (!TensorShape.TryCount([.. shape], 1, out long channels, out string? error)) throw new ArgumentException($"The shape of {hook} {error}.", nameof(shape));
        if (channels is 0 or > MaxChannels) throw new ArgumentException($"{hook} has {channels} channels; it must have from 1 to {MaxChannels}.", nameof(shape));
        Options = options ?? new StatisticsOptions();
        Options.Require(channels);
        (Hook, Shape, Channels) = (hook, [.. shape], (int)channels);
        Moments = new ChannelMoments(Channels);
        QuantileSketch? Sketch() => Options.HasQuantiles ? new QuantileSketch(Options.QuantileBits) : null;
        Norms = new NormMoments(Sketch());
        Sketches = Options.HasQuantiles ? [.. Enumerable.Range(0, Channels).Select(_ => Sketch()!)] : [];
        Largest = Options.TopCount > 0 ? new ExtremeTokens(Channels, Options.TopCount, isLargest: true) : null;
        Smallest = Options.BottomCount > 0 ? new ExtremeTokens(Channels, Options.BottomCount, isLargest: false) : null;
        Products = Options.HasCovariance ? new CovarianceMoments(Channels) : null;
    }

    /// <summary>The hook's canonical name.</summary>
    public string Hook { get; }

    /// <summary>The sizes for one token: [channels] or [heads, channels of a head].</summary>
    public IReadOnlyList<long> Shape { get; }

    /// <summary>The product of <see cref="Shape"/>.</summary>
    public int Channels { get; }

    /// <summary>What is kept.</summary>
    public StatisticsOptions Options { get; }

    /// <summary>The tokens that were added, without those that were not finite.</summary>
    public long Count { get; private set; }

    /// <summary>The tokens that were left out because an element was not finite.</summary>
    public long NonFiniteCount { get; private set; }

    /// <summary>The first of the tokens that were left out; null if there are none.</summary>
    public TokenOrigin? FirstNonFinite { get; private set; }

    /// <summary>The memory that the parts which grow with channels hold, in bytes.</summary>
    public long SizeBytes =>
        (Moments.Mean.LongLength * 32) + Sketches.Sum(sketch => sketch.SizeBytes) + (Largest?.SizeBytes ?? 0) + (Smallest?.SizeBytes ?? 0)
        + ((Products?.Products.LongLength ?? 0) * sizeof(double));

    /// <summary>The most threads that one call of <see cref="Add"/> may use.</summary>
    /// <value>By default as many as one operation of libtorch.</value>
    internal int MaxThreads { get; init; } = TorchSharp.torch.get_num_threads();

    internal ChannelMoments Moments { get; }

    internal NormMoments Norms { get; }

    internal QuantileSketch[] Sketches { get; }

    internal ExtremeTokens? Largest { get; }

    internal ExtremeTokens? Smallest { get; }

    internal CovarianceMoments? Products { get; }

    /// <summary>Adds tokens.</summary>
    /// <param name="values">Their activations: [tokens, channels], row-major.</param>
    /// <param name="tokens">Where they come from. Fastest if they come in ascending order.</param>
    /// <exception cref="ArgumentException">The number of values does not follow from that of the tokens.</exception>
    /// <exception cref="InvalidOperationException">There would be more tokens than <see cref="MaxTokens"/>.</exception>
    public void Add(ReadOnlySpan<float> values, ReadOnlySpan<TokenOrigin> tokens)
    {
        if (values.Length != (long)tokens.Length * Channels)
        {
            throw new ArgumentException($"{tokens.Length} tokens of {Channels} channels at {Hook} are {(long)tokens.Length * Channels} values, not {values.Length}.", nameof(values));
        }

        RequireRoom(tokens.Length);
        int parts = (int)Math.Min(Math.Min(MaxThreads, TileCount), values.Length / WorkWorthAThread);
        int step = parts > 1 ? tokens.Length : ActivationTile.MaxTokens;
        while (!tokens.IsEmpty)
        {
            // On one thread a block stays in the cache from its norms on.
            int count = Math.Min(tokens.Length, step);
            AddTokens(values[..(count * Channels)], tokens[..count], Math.Max(1, parts));
            values = values[(count * Channels)..];
            tokens = tokens[count..];
        }
    }

    /// <summary>Adds the tokens of other statistics, which stay as they are.</summary>
    /// <param name="other">Statistics of the same hook with the same options.</param>
    /// <exception cref="ArgumentException">They are of another hook, shape or options. ParamName says which.</exception>
    /// <exception cref="InvalidOperationException">There would be more tokens than <see cref="MaxTokens"/>.</exception>
    public void Merge(ActivationStatistics other)
    {
        if (other.Hook != Hook) throw new ArgumentException($"Statistics of {other.Hook} cannot be merged into those of {Hook}.", "hook");
        if (!other.Shape.SequenceEqual(Shape))
        {
            throw new ArgumentException($"{Hook} has the shape {TensorShape.Format([.. Shape])} here and {TensorShape.Format([.. other.Shape])} in what is to be merged.", "shape");
        }

        if (other.Options != Options) throw new ArgumentException($"The statistics of {Hook} were made with different options: {Options} and {other.Options}.", "options");
        RequireRoom(other.Count);
        Moments.Merge(other.Moments, Count, other.Count);
        Norms.Merge(other.Norms, Count, other.Count);
        for (int i = 0; i < Sketches.Length; i++) Sketches[i].Merge(other.Sketches[i]);
        Largest?.Merge(other.Largest!);
        Smallest?.Merge(other.Smallest!);
        Products?.Merge(other.Products!, Count, other.Count);
        (Count, NonFiniteCount) = (Count + other.Count, NonFiniteCount + other.NonFiniteCount);
        if (other.FirstNonFinite is { } first) NoteNonFinite(first);
        if (_last is null || other._last > _last) _last = other._last;
    }

    /// <summary>Puts counts that were read from a file.</summary>
    internal void Restore(long count, long nonFiniteCount, TokenOrigin? firstNonFinite, TokenOrigin? last) =>
        (Count, NonFiniteCount, FirstNonFinite, _last) = (count, nonFiniteCount, firstNonFinite, last);

    /// <summary>The last token in the order of documents; null if there are none.</summary>
    internal TokenOrigin? Last => _last;

    private int TileCount => ActivationTile.Padded(Channels) / ActivationTile.Width;

    private void AddTokens(ReadOnlySpan<float> values, ReadOnlySpan<TokenOrigin> tokens, int parts)
    {
        double[] squaredNorms = new double[tokens.Length];
        HostSpans.For(values, tokens, tokens.Length, parts, (all, _, from, to, _) =>
        {
            for (int i = from; i < to; i++) squaredNorms[i] = NormMoments.Squared(all.Slice(i * Channels, Channels));
        });
        List<Block> blocks = Screen(squaredNorms, tokens);
        ActivationTile[] tiles = parts == 1 ? [_tile ??= new ActivationTile()] : [.. Enumerable.Range(0, parts).Select(_ => new ActivationTile())];
        HostSpans.For(values, tokens, TileCount, parts, (all, origins, from, to, part) =>
        {
            foreach (Block block in blocks)
            {
                for (int tile = from; tile < to; tile++) AddTile(tiles[part], all, origins, block, tile * ActivationTile.Width);
            }
        });
        foreach (Block block in blocks)
        {
            Products?.Add(values, block.Rows, block.Before);
            Count += block.Rows.Length;
        }
    }

    /// <summary>Takes norms, sorts out what is not finite, and cuts the rest into blocks for tiles.</summary>
    private List<Block> Screen(double[] squaredNorms, ReadOnlySpan<TokenOrigin> tokens)
    {
        List<Block> blocks = [];
        List<int> rows = new(Math.Min(tokens.Length, ActivationTile.MaxTokens));
        bool isAscending = true;
        long before = Count;
        for (int i = 0; i < tokens.Length; i++)
        {
            if (!double.IsFinite(squaredNorms[i]))
            {
                NonFiniteCount++;
                NoteNonFinite(tokens[i]);
            }
            else
            {
                Norms.Add(squaredNorms[i], before + rows.Count);
                if (_last is null || tokens[i] > _last) _last = tokens[i];
                else isAscending = false;
                rows.Add(i);
            }

            // The same blocks on one thread and on several, so that rounding is the same too.
            bool isEnd = (i + 1) % ActivationTile.MaxTokens == 0 || i == tokens.Length - 1;
            if (rows.Count == 0 || !isEnd) continue;
            blocks.Add(new Block([.. rows], isAscending, before));
            before += rows.Count;
            isAscending = true;
            rows.Clear();
        }

        return blocks;
    }

    private void AddTile(ActivationTile tile, ReadOnlySpan<float> values, ReadOnlySpan<TokenOrigin> tokens, Block block, int channel)
    {
        tile.Load(values, Channels, block.Rows, channel);
        Moments.Add(tile, block.Before);
        Largest?.Add(tile, tokens, block.Rows, block.IsAscending);
        Smallest?.Add(tile, tokens, block.Rows, block.IsAscending);
        for (int i = 0; i < tile.Channels && Sketches.Length > 0; i++) Sketches[channel + i].Add(tile.Values[i..], tile.Tokens, ActivationTile.Width);
    }

    private void NoteNonFinite(TokenOrigin token)
    {
        if (FirstNonFinite is null || token < FirstNonFinite) FirstNonFinite = token;
    }

    private void RequireRoom(long added)
    {
        if (Count + added > MaxTokens) throw new InvalidOperationException($"The statistics of {Hook} would cover {Count + added} tokens; at most {MaxTokens} are allowed.");
    }

    /// <summary>Tokens for one tile.</summary>
    /// <param name="Rows">Which of those that are added.</param>
    /// <param name="IsAscending">Whether every one comes after all before it.</param>
    /// <param name="Before">Tokens that were added before these.</param>
    private sealed record Block(int[] Rows, bool IsAscending, long Before);
}
