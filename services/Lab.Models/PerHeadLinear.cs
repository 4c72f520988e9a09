using static TorchSharp.torch;

namespace Lab.Models;

/// <summary>Linear maps head by head, for the hooks that split them.</summary>
internal static class PerHeadLinear
{
    /// <summary>Each head's output from its own input.</summary>
    /// <param name="x">[rows, pos, head, in].</param>
    /// <param name="map">out = head x d_head.</param>
    /// <param name="dHead">Channels of a head.</param>
    /// <returns>[rows, pos, head x d_head].</returns>
    public static Tensor Apply(Tensor x, LinearWeights map, int dHead)
    {
        Tensor weight = OutIn(map).reshape(x.shape[2], dHead, x.shape[3]);                                         // (H, D, C)
        Tensor y = einsum("bthc,hdc->bthd", x, weight).flatten(2);
        return map.Bias is null ? y : y + map.Bias.Value;
    }

    /// <summary>What each head adds to the residual stream, without the bias.</summary>
    /// <param name="z">[rows, pos, head, d_head].</param>
    /// <param name="map">in = head x d_head.</param>
    /// <returns>[rows, pos, head, out].</returns>
    public static Tensor Results(Tensor z, LinearWeights map) =>
        einsum("bthd,chd->bthc", z, OutIn(map).reshape(-1, z.shape[2], z.shape[3]));

    /// <summary>The maps of queries, keys and values, also where they are joined in one matrix.</summary>
    public static (LinearWeights Q, LinearWeights K, LinearWeights V) Maps(AttentionWeights weights)
    {
        if (weights.Qkv is not { } joined) return (weights.Q!, weights.K!, weights.V!);
        LinearWeights[] parts = [.. Enumerable.Range(0, 3).Select(part =>
        {
            long size = OutIn(joined).shape[0] / 3;
            NamedParameter Part(NamedParameter whole, Tensor rows) => whole with { Value = rows.narrow(0, part * size, size) };
            return new LinearWeights(Part(joined.Weight, OutIn(joined)), joined.Bias is null ? null : Part(joined.Bias, joined.Bias.Value));
        })];
        return (parts[0], parts[1], parts[2]);
    }

    private static Tensor OutIn(LinearWeights map) => map.IsInOut ? map.Weight.Value.t() : map.Weight.Value;
}
