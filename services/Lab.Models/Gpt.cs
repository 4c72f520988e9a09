using Lab.Tensors.Kernels;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Lab.Models;

/// <summary>
/// A GPT-2-style pre-norm decoder with RMSNorm, AbsTopK on every read and write of the residual stream, an optional
/// attention sink and an optional bigram table (Gao et al. 2025, sections 2.1 and A.1). Not safe for concurrent use: one
/// thread owns a model.
/// </summary>
public sealed class Gpt : IDisposable
{
    /// <summary>torch's RMSNorm default: the machine epsilon of FP32.</summary>
    private const double NormEpsilon = 1.1920929e-07;

    /// <summary>A model over existing weights, which it owns from now on.</summary>
    public Gpt(GptConfig config, GptWeights weights)
    {
        Config = config.Validate();
        Weights = weights;
        Hooks = new HookCatalog(config);
    }

    /// <summary>The architecture.</summary>
    public GptConfig Config { get; }

    /// <summary>The parameters.</summary>
    public GptWeights Weights { get; }

    /// <summary>Where activations can be reached.</summary>
    public HookCatalog Hooks { get; }

    /// <summary>Where the weights are.</summary>
    public Device Device => Weights.TokenEmbedding.device;

    /// <summary>Runs the model.</summary>
    /// <param name="ids">[batch, pos], int64, each below d_vocab; pos at most n_ctx.</param>
    /// <param name="tap">Sees and changes activations; null for none, at no cost.</param>
    /// <returns>Logits [batch, pos, d_vocab], in the caller's dispose scope.</returns>
    public Tensor Forward(Tensor ids, IActivationTap? tap = null)
    {
        if (ids.dim() != 2 || ids.shape[1] > Config.NCtx)
        {
            throw new ArgumentException($"Token IDs must be [batch, pos] with at most {Config.NCtx} positions, not [{string.Join(", ", ids.shape)}].", nameof(ids));
        }

        using var scope = NewDisposeScope();
        Tensor x = Tap(tap, Hooks.Embed, Rows(Weights.TokenEmbedding, ids));                        // (B, T, C)
        if (Weights.PositionEmbedding is { } wpe)
        {
            Tensor positions = wpe.narrow(0, 0, ids.shape[1]).unsqueeze(0).expand(ids.shape[0], -1, -1);
            x = x + Tap(tap, Hooks.PosEmbed!, positions);
        }

        for (int layer = 0; layer < Config.NLayers; layer++) x = Block(x, Weights.Blocks[layer], Hooks.Blocks[layer], tap);
        Tensor normalized = Tap(tap, Hooks.FinalNormalized, Normalize(x));
        Tensor logits = F.linear(normalized * Weights.LnFinal, Weights.Unembedding);               // (B, T, V)
        if (Weights.Bigram is { } bigram) logits = logits + Rows(bigram, ids);
        if (Weights.FinalLogitsBias is { } bias) logits = logits + bias;
        return logits.MoveToOuterDisposeScope();
    }

    private Tensor Block(Tensor x, BlockWeights weights, BlockHooks hooks, IActivationTap? tap)
    {
        using var scope = NewDisposeScope();
        x = Tap(tap, hooks.ResidPre, x);
        x = x + Attention(x, weights, hooks, tap);
        x = Tap(tap, hooks.ResidMid, x);
        x = x + Mlp(x, weights, hooks, tap);
        return Tap(tap, hooks.ResidPost, x).MoveToOuterDisposeScope();
    }

    private Tensor Attention(Tensor x, BlockWeights weights, BlockHooks hooks, IActivationTap? tap)
    {
        (long batch, long length) = (x.shape[0], x.shape[1]);
        Tensor read = Tap(tap, hooks.AttnRead, Sparsify(Normalize(x) * weights.Ln1));
        Tensor[] qkv = F.linear(read, weights.CAttn, weights.CAttnBias).chunk(3, -1);              // 3 x (B, T, H*D)
        Tensor q = Heads(qkv[0], hooks.Q, tap), k = Heads(qkv[1], hooks.K, tap), v = Heads(qkv[2], hooks.V, tap);
        bool explicitScores = weights.SinkLogit is not null || (tap is not null && (tap.Wants(hooks.AttnScores) || tap.Wants(hooks.Pattern)));
        Tensor z = explicitScores
            ? ExplicitAttention(q, k, v, weights.SinkLogit, hooks, tap)
            : F.scaled_dot_product_attention(q, k, v, is_casual: true);                            // (B, H, T, D)
        z = Tap(tap, hooks.Z, z.transpose(1, 2)).reshape(batch, length, -1);                       // (B, T, H*D)
        return Tap(tap, hooks.AttnOut, Sparsify(F.linear(z, weights.CProj, weights.CProjBias)));

        Tensor Heads(Tensor flat, HookPoint hook, IActivationTap? tap) =>
            Tap(tap, hook, Sparsify(flat).view(batch, length, Config.NHeads, Config.DHead)).transpose(1, 2); // (B, H, T, D)
    }

    /// <summary>Attention step by step, for a sink or for hooks on scores and pattern.</summary>
    private Tensor ExplicitAttention(Tensor q, Tensor k, Tensor v, Tensor? sinkLogit, BlockHooks hooks, IActivationTap? tap)
    {
        (long batch, long length) = (q.shape[0], q.shape[2]);
        Tensor future = ones(length, length, dtype: ScalarType.Bool, device: q.device).triu(1);
        Tensor scores = q.matmul(k.transpose(-2, -1)) / Math.Sqrt(Config.DHead);                   // (B, H, T, T)
        scores = Tap(tap, hooks.AttnScores, scores.masked_fill(future, float.NegativeInfinity));
        if (sinkLogit is not null)
        {
            // The sink is a key whose value is zero: it takes its share of the softmax and gives nothing.
            Tensor sink = sinkLogit.view(1, -1, 1, 1).expand(batch, -1, length, 1);
            scores = cat([scores, sink], -1);                                                      // (B, H, T, T+1)
        }

        Tensor pattern = scores.softmax(-1).narrow(-1, 0, length);                                 // (B, H, T, T)
        return Tap(tap, hooks.Pattern, pattern).matmul(v);
    }

    private Tensor Mlp(Tensor x, BlockWeights weights, BlockHooks hooks, IActivationTap? tap)
    {
        Tensor read = Tap(tap, hooks.MlpRead, Sparsify(Normalize(x) * weights.Ln2));
        Tensor pre = Tap(tap, hooks.MlpPre, F.linear(read, weights.CFc, weights.CFcBias));         // (B, T, M)
        Tensor post = Tap(tap, hooks.MlpPost, Sparsify(F.gelu(pre)));
        return Tap(tap, hooks.MlpOut, Sparsify(F.linear(post, weights.MlpCProj, weights.MlpCProjBias))); // (B, T, C)
    }

    private Tensor Sparsify(Tensor x) =>
        Config.ActivationFraction < 1 ? AbsTopK.Apply(x, AbsTopK.Kept(Config.ActivationFraction, x.shape[^1])) : x;

    private static Tensor Rows(Tensor table, Tensor ids) =>
        table.index_select(0, ids.flatten()).view(ids.shape[0], ids.shape[1], table.shape[1]);

    private static Tensor Normalize(Tensor x) => x * (x.square().mean([-1], keepdim: true) + NormEpsilon).rsqrt();

    private static Tensor Tap(IActivationTap? tap, HookPoint hook, Tensor x) => tap is null || !tap.Wants(hook) ? x : tap.At(hook, x);

    /// <inheritdoc/>
    public void Dispose() => Weights.Dispose();
}
