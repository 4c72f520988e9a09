using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Lab.Models.Statistics;

/// <summary>
/// The k tokens with the largest (or smallest) values of each channel. Of equal values those of the earlier tokens are kept, so that
/// the result does not depend on the order in which tokens come. A value that is not among them costs one comparison, in vectors.
/// </summary>
internal sealed class ExtremeTokens
{
    private const int Lanes = 8;

    private readonly int _k;
    private readonly float _sign;
    private readonly int[] _counts;
    private readonly float[] _thresholds;

    // Of each channel, the best first. Values are negated where the smallest are kept.
    private readonly ActivatingToken[][] _tokens;

    public ExtremeTokens(int channels, int k, bool isLargest)
    {
        (_k, _sign) = (k, isLargest ? 1 : -1);
        _counts = new int[channels];
        _tokens = [.. Enumerable.Repeat(Array.Empty<ActivatingToken>(), channels)];
        _thresholds = new float[ActivationTile.Padded(channels)];
        _thresholds.AsSpan(0, channels).Fill(float.NegativeInfinity);
        _thresholds.AsSpan(channels).Fill(float.PositiveInfinity);
    }

    /// <summary>The memory that it holds, in bytes.</summary>
    public long SizeBytes => _tokens.Sum(tokens => (long)tokens.Length) * Unsafe.SizeOf<ActivatingToken>();

    /// <summary>Offers the tokens of a tile.</summary>
    /// <param name="tile">The values, all finite.</param>
    /// <param name="tokens">The batch's tokens.</param>
    /// <param name="rows">Which of them are in the tile.</param>
    /// <param name="isAscending">Whether every token comes after all that were offered before, so that a tie never displaces one.</param>
    public void Add(ActivationTile tile, ReadOnlySpan<TokenOrigin> tokens, ReadOnlySpan<int> rows, bool isAscending)
    {
        Vector256<float> sign = Vector256.Create(_sign);
        for (int lane = 0; lane < tile.Channels; lane += Lanes)
        {
            ref float value = ref Unsafe.Add(ref Unsafe.AsRef(in tile.First), lane);
            Vector256<float> threshold = Vector256.LoadUnsafe(ref _thresholds[tile.Channel + lane]);
            for (int i = 0; i < rows.Length; i++)
            {
                Vector256<float> x = Vector256.LoadUnsafe(ref value, (nuint)(i * ActivationTile.Width)) * sign;
                uint above = (isAscending ? Vector256.GreaterThan(x, threshold) : Vector256.GreaterThanOrEqual(x, threshold)).ExtractMostSignificantBits();
                if (above == 0) continue;
                for (int j = 0; j < Lanes; j++)
                {
                    if ((above >> j & 1) != 0) Offer(tile.Channel + lane + j, new ActivatingToken(x[j], tokens[rows[i]]));
                }

                threshold = Vector256.LoadUnsafe(ref _thresholds[tile.Channel + lane]);
            }
        }
    }

    /// <summary>Adds another's tokens.</summary>
    public void Merge(ExtremeTokens other)
    {
        for (int channel = 0; channel < _counts.Length; channel++)
        {
            // A copy: merging with itself is lawful.
            foreach (ActivatingToken token in other.Stored(channel).ToArray()) Offer(channel, token);
        }
    }

    /// <summary>The tokens of a channel, the most extreme first.</summary>
    public ActivatingToken[] Of(int channel) => [.. Stored(channel).ToArray().Select(token => token with { Value = token.Value * _sign })];

    /// <summary>Adds a token read from a file.</summary>
    /// <returns>False if it is not less extreme than the one before it, or one too many.</returns>
    public bool TryAppend(int channel, ActivatingToken token)
    {
        token = token with { Value = token.Value * _sign };
        ReadOnlySpan<ActivatingToken> stored = Stored(channel);
        if (stored.Length == _k || (stored is [.., var last] && IsBefore(token, last))) return false;
        Offer(channel, token);
        return true;
    }

    private ReadOnlySpan<ActivatingToken> Stored(int channel) => _tokens[channel].AsSpan(0, _counts[channel]);

    private void Offer(int channel, ActivatingToken token)
    {
        int count = _counts[channel];
        ref ActivatingToken[] all = ref _tokens[channel];
        if (count == _k && !IsBefore(token, all[^1])) return;
        if (count == all.Length && count < _k) Array.Resize(ref all, Math.Min(_k, Math.Max(4, 2 * count)));
        int low = 0;
        for (int high = count; low < high;)
        {
            int middle = (low + high) / 2;
            if (IsBefore(token, all[middle])) high = middle;
            else low = middle + 1;
        }

        int moved = Math.Min(count, _k - 1) - low;
        Array.Copy(all, low, all, low + 1, moved);
        all[low] = token;
        if (count < _k) _counts[channel] = ++count;
        if (count == _k) _thresholds[channel] = all[^1].Value;
    }

    private static bool IsBefore(ActivatingToken a, ActivatingToken b) => a.Value != b.Value ? a.Value > b.Value : a.Origin < b.Origin;
}
