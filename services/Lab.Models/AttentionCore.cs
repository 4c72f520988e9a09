using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Lab.Models;

/// <summary>
/// From queries, keys and values to the heads' outputs: fused where it can be, step by step for a sink, a cap or a tap on scores or
/// pattern, and row by row where rows have caches of their own.
/// </summary>
internal sealed class AttentionCore(
    TransformerConfig config, ForwardInput input, PassPositions positions, Func<HookPoint, Tensor, Tensor> tap, Func<HookPoint, bool> wants)
{
    private readonly long _rows = input.Ids.shape[0];
    private readonly long _length = input.Ids.shape[1];

    /// <summary>Attends.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="q">[rows, pos, head, d_head].</param>
    /// <param name="k">[rows, pos, shared head, d_head].</param>
    /// <param name="v">[rows, pos, shared head, d_head].</param>
    /// <param name="sinkLogit">[head], or null.</param>
    /// <param name="hooks">The layer's hooks.</param>
    /// <returns>[rows, pos, head, d_head].</returns>
    public Tensor Attend(int layer, Tensor q, Tensor k, Tensor v, Tensor? sinkLogit, BlockHooks hooks)
    {
        bool isExplicit = sinkLogit is not null || config.AttentionSoftCap > 0 || wants(hooks.AttnScores) || wants(hooks.Pattern);
        if (input.Caches is null)
        {
            return isExplicit
                ? Explicit(layer, q, k.transpose(1, 2), v.transpose(1, 2), sinkLogit, hooks)
                : Fused(layer, q, k.transpose(1, 2), v.transpose(1, 2), past: 0);
        }

        (Tensor Keys, Tensor Values)[] all = [.. input.Caches.Select((cache, row) =>
        {
            int count = CountOf(row);
            return cache.Append(layer, k[row].narrow(0, 0, count), v[row].narrow(0, 0, count));
        })];
        if (isExplicit) return Explicit(layer, q, Padded(all.Select(row => row.Keys)), Padded(all.Select(row => row.Values)), sinkLogit, hooks);
        return cat([.. all.Select((row, r) => PadRow(Fused(layer, q.narrow(0, r, 1).narrow(1, 0, CountOf(r)), row.Keys, row.Values, input.Caches[r].Length)))], 0);
    }

    /// <summary>Fused attention of rows that all have <paramref name="past"/> tokens before their queries.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="q">[rows, pos, head, d_head].</param>
    /// <param name="k">[rows, shared head, past + pos, d_head].</param>
    /// <param name="v">[rows, shared head, past + pos, d_head].</param>
    /// <param name="past">Keys before the first query.</param>
    private Tensor Fused(int layer, Tensor q, Tensor k, Tensor v, int past)
    {
        using var scope = NewDisposeScope();
        (long length, long keys) = (q.shape[1], k.shape[2]);
        int window = config.WindowOf(layer);
        double rescale = config.ScaleOf(layer) * Math.Sqrt(config.DHead);
        if (Math.Abs(rescale - 1) > 1e-12) q = q * rescale;
        if (length == 1)
        {
            // One query sees all keys of its window; the heads that share keys are its rows, so that no key is copied.
            long seen = Math.Min(keys, window);
            q = q.view(q.shape[0], config.KeyValueHeads, config.HeadsPerKeyValue, config.DHead);
            Tensor one = F.scaled_dot_product_attention(q, k.narrow(2, keys - seen, seen), v.narrow(2, keys - seen, seen));
            return one.reshape(q.shape[0], 1, config.NHeads, config.DHead).MoveToOuterDisposeScope();
        }

        bool isPlain = past == 0 && length <= window;
        Tensor? mask = isPlain ? null : Visible(length, keys, tensor(past, device: q.device), window);
        Tensor z = F.scaled_dot_product_attention(q.transpose(1, 2), Repeat(k), Repeat(v), attn_mask: mask!, is_casual: isPlain); // (B, H, T, D)
        return z.transpose(1, 2).MoveToOuterDisposeScope();
    }

    /// <summary>Attention step by step.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="q">[rows, pos, head, d_head].</param>
    /// <param name="k">[rows, shared head, key, d_head].</param>
    /// <param name="v">[rows, shared head, key, d_head].</param>
    /// <param name="sinkLogit">[head], or null.</param>
    /// <param name="hooks">The layer's hooks.</param>
    private Tensor Explicit(int layer, Tensor q, Tensor k, Tensor v, Tensor? sinkLogit, BlockHooks hooks)
    {
        using var scope = NewDisposeScope();
        long keys = k.shape[2];
        Tensor past = positions.IsUniform ? tensor(positions.First, device: q.device) : positions.Indices.narrow(1, 0, 1).unsqueeze(-1).unsqueeze(-1); // (B, 1, 1, 1)
        Tensor scores = q.transpose(1, 2).matmul(Repeat(k).transpose(-2, -1)) * config.ScaleOf(layer); // (B, H, T, K)
        if (config.AttentionSoftCap > 0) scores = (scores / config.AttentionSoftCap).tanh() * config.AttentionSoftCap;
        scores = tap(hooks.AttnScores, scores.masked_fill(Visible(_length, keys, past, config.WindowOf(layer)).logical_not(), float.NegativeInfinity));
        if (sinkLogit is not null)
        {
            // The sink is a key whose value is zero: it takes its share of the softmax and gives nothing.
            Tensor sink = sinkLogit.view(1, -1, 1, 1).expand(_rows, -1, _length, 1).to(scores.dtype);
            scores = cat([scores, sink], -1);                                                       // (B, H, T, K+1)
        }

        Tensor wide = scores.dtype == ScalarType.BFloat16 ? scores.to(ScalarType.Float32) : scores;
        Tensor pattern = tap(hooks.Pattern, wide.softmax(-1).narrow(-1, 0, keys).to(v.dtype));
        return pattern.matmul(Repeat(v)).transpose(1, 2).MoveToOuterDisposeScope();
    }

    /// <summary>Which keys a query may look at: [pos, key], or [rows, 1, pos, key] for a past by row.</summary>
    private static Tensor Visible(long length, long keys, Tensor past, int window)
    {
        Tensor query = arange(length, device: past.device).unsqueeze(1) + past;                      // (T, 1) or (B, 1, T, 1)
        Tensor key = arange(keys, device: past.device).unsqueeze(0);
        Tensor visible = key <= query;
        return window == int.MaxValue ? visible : visible.logical_and(key > query - window);
    }

    /// <summary>A head of keys or values for every head of queries: [rows, head, key, d_head].</summary>
    private Tensor Repeat(Tensor shared) => config.HeadsPerKeyValue == 1
        ? shared
        : shared.unsqueeze(2).expand(-1, -1, config.HeadsPerKeyValue, -1, -1).flatten(1, 2);

    private int CountOf(int row) => input.Lengths?[row] ?? (int)_length;

    /// <summary>Rows of different numbers of keys in one tensor, zero where a row has none: the mask keeps queries from those.</summary>
    private static Tensor Padded(IEnumerable<Tensor> rows)
    {
        Tensor[] all = [.. rows];
        long longest = all.Max(row => row.shape[2]);
        return cat([.. all.Select(row => row.shape[2] == longest ? row : F.pad(row, [0, 0, 0, longest - row.shape[2]]))], 0);
    }

    private Tensor PadRow(Tensor z) => z.shape[1] == _length ? z : F.pad(z, [0, 0, 0, 0, 0, _length - z.shape[1]]);
}
