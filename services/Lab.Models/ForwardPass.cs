using Lab.Tensors.Kernels;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Lab.Models;

/// <summary>One run of a <see cref="Transformer"/> over one batch: the architecture, from the embedding to the logits.</summary>
internal sealed class ForwardPass
{
    private readonly TransformerConfig _config;
    private readonly TransformerWeights _weights;
    private readonly SparseWeights? _sparse;
    private readonly HookCatalog _hooks;
    private readonly ForwardInput _input;
    private readonly IActivationTap? _tap;
    private readonly PassPositions _positions;
    private readonly AttentionCore _attention;

    public ForwardPass(Transformer model, ForwardInput input, IActivationTap? tap)
    {
        (_config, _weights, _sparse, _hooks, _input, _tap) = (model.Config, model.Weights, model.Sparse, model.Hooks, input, tap);
        _positions = new PassPositions(model, input);
        _attention = new AttentionCore(_config, input, _positions, Tap, Wants);
    }

    private bool UsesSparsity => _config.ActivationFraction < 1;

    /// <summary>Runs the pass. Its tensors are in the caller's scope.</summary>
    public Tensor? Run()
    {
        Tensor x = Lookup(_weights.TokenEmbedding, _input.Ids);                                     // (B, T, C)
        if (_config.EmbeddingScale != 1) x = x * tensor(_config.EmbeddingScale, dtype: x.dtype, device: x.device);
        x = Tap(_hooks.Embed, x);
        Tensor? cat = null;
        if (_weights.PositionEmbedding is { } table)
        {
            Tensor positions = Tap(_hooks.PosEmbed!, Positions(table));
            if (_config.AddsPositions) x = x + positions;
            else cat = positions;                                                                   // (B, T, P)
        }

        int layers = Math.Min(_input.StopAtLayer ?? _config.NLayers, _config.NLayers);
        for (int layer = 0; layer < layers; layer++) x = Block(layer, x, cat);
        return layers < _config.NLayers ? null : Logits(x);
    }

    private Tensor Block(int layer, Tensor x, Tensor? positions)
    {
        using var scope = NewDisposeScope();
        (BlockWeights weights, BlockHooks hooks) = (_weights.Blocks[layer], _hooks.Blocks[layer]);
        x = Tap(hooks.ResidPre, x);
        x = Residual(x + Attention(layer, x, positions, weights, hooks), AbsTopKSites.ResidPostAttn);
        x = Tap(hooks.ResidMid, x);
        x = Residual(x + Mlp(x, positions, weights, hooks), AbsTopKSites.ResidPostMlp);
        return Tap(hooks.ResidPost, x).MoveToOuterDisposeScope();
    }

    private Tensor Attention(int layer, Tensor x, Tensor? positions, BlockWeights block, BlockHooks hooks)
    {
        AttentionWeights weights = block.Attention;
        Tensor? all = hooks.AttnIn is null ? null : PerHead(hooks.AttnIn, null, _config.NHeads);
        Tensor? qIn = PerHead(hooks.QInput, all, _config.NHeads), kIn = PerHead(hooks.KInput, all, _config.KeyValueHeads), vIn = PerHead(hooks.VInput, all, _config.KeyValueHeads);
        Tensor read = Read(x, positions, block.Ln1, hooks.Ln1, block.PositionNorm1, AbsTopKSites.AttnIn);
        read = Tap(hooks.AttnRead, read);
        (Tensor q, Tensor k, Tensor v) = QueriesKeysValues(read, weights);                          // (B, T, H*D)
        if (qIn is not null) q = FromHeads(qIn, PerHeadLinear.Maps(weights).Q);
        if (kIn is not null) k = FromHeads(kIn, PerHeadLinear.Maps(weights).K);
        if (vIn is not null) v = FromHeads(vIn, PerHeadLinear.Maps(weights).V);
        q = Heads(Sparsify(q, AbsTopKSites.AttnQ), hooks.Q);
        k = Heads(Sparsify(k, AbsTopKSites.AttnK), hooks.K);
        v = Heads(Sparsify(v, AbsTopKSites.AttnV), hooks.V);                                        // (B, T, Hkv, D)
        if (weights.QNorm is not null) q = HeadNorm(q, weights.QNorm);
        if (weights.KNorm is not null) k = HeadNorm(k, weights.KNorm);
        if (_config.RotaryOf(layer) is { } rotary)
        {
            q = Tap(hooks.RotQ!, _positions.Rotate(q, rotary));
            k = Tap(hooks.RotK!, _positions.Rotate(k, rotary));
        }

        Tensor z = Tap(hooks.Z, _attention.Attend(layer, q, k, v, weights.SinkLogit?.Value, hooks)); // (B, T, H, D)
        Tensor added = Sparsify(Output(z, weights.Out, hooks.Result), AbsTopKSites.AttnOut);
        if (block.Ln1Post is not null) added = Norm(added, block.Ln1Post, hooks.Ln1Post!);
        return Tap(hooks.AttnOut, added);

        // What each head reads, if it is not the residual stream that the others read.
        Tensor? PerHead(HookPoint hook, Tensor? changedBefore, int heads)
        {
            if (!Wants(hook)) return changedBefore;
            Tensor input = changedBefore ?? x.unsqueeze(2).expand(-1, -1, heads, -1);               // (B, T, H, C)
            Tensor changed = _tap!.At(hook, input);
            return ReferenceEquals(changed, input) ? changedBefore : changed;
        }

        Tensor FromHeads(Tensor input, LinearWeights map)
        {
            Tensor normed = Read(input, positions?.unsqueeze(2).expand(-1, -1, input.shape[2], -1), block.Ln1, null, block.PositionNorm1, AbsTopKSites.AttnIn);
            return PerHeadLinear.Apply(normed, map, _config.DHead);
        }

        Tensor Heads(Tensor flat, HookPoint hook) => Tap(hook, flat.view(flat.shape[0], flat.shape[1], -1, _config.DHead));
    }

    private (Tensor Q, Tensor K, Tensor V) QueriesKeysValues(Tensor read, AttentionWeights weights)
    {
        if (weights.Qkv is null) return (Linear(read, weights.Q!), Linear(read, weights.K!), Linear(read, weights.V!));
        Tensor[] qkv = Linear(read, weights.Qkv).chunk(3, -1);
        return (qkv[0], qkv[1], qkv[2]);
    }

    /// <summary>From heads to what attention adds; head by head only if that is asked for.</summary>
    private Tensor Output(Tensor z, LinearWeights map, HookPoint hook)
    {
        if (Wants(hook))
        {
            Tensor result = PerHeadLinear.Results(z, map);                                          // (B, T, H, C)
            Tensor changed = _tap!.At(hook, result);
            if (!ReferenceEquals(changed, result)) return AddBias(changed.sum(2), map.Bias);
        }

        return Linear(z.flatten(2), map);
    }

    private Tensor Mlp(Tensor x, Tensor? positions, BlockWeights block, BlockHooks hooks)
    {
        MlpWeights weights = block.Mlp;
        Tensor read = Read(Tap(hooks.MlpIn, x), positions, block.Ln2, hooks.Ln2, block.PositionNorm2, AbsTopKSites.MlpIn);
        read = Tap(hooks.MlpRead, read);
        Tensor post = Activate(Tap(hooks.MlpPre, Linear(read, weights.In)));                        // (B, T, M)
        if (weights.Linear is not null) post = post * Tap(hooks.MlpPreLinear!, Linear(read, weights.Linear));
        post = Tap(hooks.MlpPost, Sparsify(post, AbsTopKSites.MlpNeuron));
        Tensor added = Sparsify(Linear(post, weights.Out), AbsTopKSites.MlpOut);                    // (B, T, C)
        if (block.Ln2Post is not null) added = Norm(added, block.Ln2Post, hooks.Ln2Post!);
        return Tap(hooks.MlpOut, added);
    }

    /// <summary>From the residual stream to the logits.</summary>
    public Tensor? Logits(Tensor x)
    {
        // Only the wanted tokens go through the unembedding, the largest matrix, unless somebody looks at all of them on the way.
        bool isChanged = Wants(_hooks.UnembedOut) || Touches(_weights.LnFinal.Gain) || Touches(_weights.LnFinal.Bias) || Touches(_weights.Unembedding)
            || Touches(_weights.Bigram) || Touches(_weights.FinalLogitsBias);
        bool isSeen = Wants(_hooks.FinalScale) || Wants(_hooks.FinalNormalized) || Wants(_hooks.UnembedIn);
        IReadOnlyList<long>? wanted = _input.Logits.Tokens;
        bool isNothing = wanted is { Count: 0 } && !isChanged;
        if (isNothing && !isSeen) return null;
        Tensor? tokens = wanted is null || isNothing ? null : tensor([.. wanted], device: x.device);
        Tensor ids = _input.Ids;
        bool isPicked = tokens is not null && !isChanged;
        if (isPicked && !isSeen) x = Pick(x);
        Tensor read = Tap(_hooks.UnembedIn, Norm(x, _weights.LnFinal, new NormHooks(_hooks.FinalScale, _hooks.FinalNormalized)));
        if (isNothing) return null;
        if (isPicked && isSeen) read = Pick(read);
        if (isPicked) ids = Pick(ids);
        Tensor logits = Linear(read, new LinearWeights(_weights.Unembedding, null));                // (B, T, V) or (N, 1, V)
        if (_weights.Bigram is not null) logits = logits + Lookup(_weights.Bigram, ids);
        if (_weights.FinalLogitsBias is not null) logits = AddBias(logits, _weights.FinalLogitsBias);
        if (_config.LogitSoftCap > 0) logits = (logits / _config.LogitSoftCap).tanh() * _config.LogitSoftCap;
        logits = Tap(_hooks.UnembedOut, logits);
        if (tokens is null) return logits;
        if (wanted!.Count == 0) return null;
        return isPicked ? logits.squeeze(1) : logits.flatten(0, 1).index_select(0, tokens);         // (N, V)

        Tensor Pick(Tensor all) => all.flatten(0, 1).index_select(0, tokens!).unsqueeze(1);          // (N, 1, C)
    }

    private bool Touches(NamedParameter? parameter) => parameter is not null && _input.Edits?.Touches(parameter.Name) == true;

    /// <summary>What a sublayer reads: the normed residual, with the normed positions behind it where they are concatenated.</summary>
    private Tensor Read(Tensor x, Tensor? positions, NormWeights norm, NormHooks? hooks, NormWeights? positionNorm, AbsTopKSites site)
    {
        Tensor read = Norm(x, norm, hooks);
        if (positionNorm is not null) read = cat([read, Norm(positions!, positionNorm, null)], -1);
        return Sparsify(read, site);
    }

    private Tensor Norm(Tensor x, NormWeights weights, NormHooks? hooks)
    {
        bool isFused = _config.Norm == NormKind.Layer && _input.Edits is null && _config.NormGainOffset == 0;
        bool isTapped = hooks is not null && (Wants(hooks.Scale) || Wants(hooks.Normalized));
        if (isFused && !isTapped) return Fused();

        Tensor wide = x.dtype == ScalarType.BFloat16 ? x.to(ScalarType.Float32) : x;
        if (_config.Norm == NormKind.Layer) wide = wide - wide.mean([-1], keepdim: true);
        Tensor square = wide.square().mean([-1], keepdim: true) + _config.NormEpsilon;
        if (!isTapped) return Gain((wide * square.rsqrt()).to(x.dtype), weights);

        // A tap that only looks must not change a bit: what nobody changed is computed as without it.
        Tensor scale = square.sqrt(), seenScale = Tap(hooks!.Scale, scale);
        bool isScaled = !ReferenceEquals(scale, seenScale);
        Tensor normalized = (isScaled ? wide / seenScale : wide * square.rsqrt()).to(x.dtype), seen = Tap(hooks.Normalized, normalized);
        return isFused && !isScaled && ReferenceEquals(normalized, seen) ? Fused() : Gain(seen, weights);

        Tensor Fused() => F.layer_norm(x, [x.shape[^1]], weights.Gain.Value, weights.Bias?.Value, _config.NormEpsilon);
    }

    private Tensor Gain(Tensor normalized, NormWeights weights)
    {
        Tensor gain = _config.NormGainOffset == 0 ? weights.Gain.Value : (weights.Gain.Value.to(normalized.dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32) + _config.NormGainOffset).to(normalized.dtype);
        Tensor y = normalized * gain;
        if (_input.Edits?.Touches(weights.Gain.Name) == true) y = _input.Edits.Vector(weights.Gain.Name, normalized, y);
        return AddBias(y, weights.Bias);
    }

    /// <summary>RMSNorm of each head's queries or keys (Qwen3, Gemma 3).</summary>
    private Tensor HeadNorm(Tensor x, NormWeights weights)
    {
        Tensor wide = x.dtype == ScalarType.BFloat16 ? x.to(ScalarType.Float32) : x;
        return Gain((wide * (wide.square().mean([-1], keepdim: true) + _config.NormEpsilon).rsqrt()).to(x.dtype), weights);
    }

    private Tensor Linear(Tensor x, LinearWeights map)
    {
        if (!Touches(map.Weight) && !Touches(map.Bias) && !is_grad_enabled() && _sparse?.Find(map.Weight) is { } sparse) return sparse.Forward(x, map.Bias?.Value);
        Tensor weight = map.IsInOut ? map.Weight.Value.t() : map.Weight.Value;
        if (_input.Edits is null) return F.linear(x, weight, map.Bias?.Value);
        Tensor y = F.linear(x, weight);
        if (_input.Edits.Touches(map.Weight.Name)) y = _input.Edits.Linear(map.Weight.Name, x, y);
        return AddBias(y, map.Bias);
    }

    private Tensor AddBias(Tensor y, NamedParameter? bias)
    {
        if (bias is null) return y;
        y = y + bias.Value;
        return _input.Edits?.Touches(bias.Name) == true ? _input.Edits.Vector(bias.Name, null, y) : y;
    }

    private Tensor Lookup(NamedParameter table, Tensor ids)
    {
        Tensor rows = table.Value.index_select(0, ids.flatten()).view(ids.shape[0], ids.shape[1], table.Value.shape[1]);
        return _input.Edits?.Touches(table.Name) == true ? _input.Edits.Lookup(table.Name, ids, rows) : rows;
    }

    private Tensor Positions(NamedParameter table)
    {
        if (_positions.IsUniform && _input.Edits is null)
            return table.Value.narrow(0, _positions.First, _input.Ids.shape[1]).unsqueeze(0).expand(_input.Ids.shape[0], -1, -1);
        return Lookup(table, _positions.Indices);
    }

    private Tensor Activate(Tensor x) => _config.Activation switch
    {
        ActivationFunction.Gelu => F.gelu(x),
        ActivationFunction.GeluTanh => F.gelu(x, TorchSharp.Modules.GELU.Approximate.tanh),
        ActivationFunction.Relu => F.relu(x),
        _ => F.silu(x),
    };

    private Tensor Residual(Tensor x, AbsTopKSites site) => Sparsify(_config.ResidualRelu ? F.relu(x) : x, site);

    private Tensor Sparsify(Tensor x, AbsTopKSites site)
    {
        if (!UsesSparsity || (_config.ActivationSites & site) == 0) return x;
        int kept = (int)(_config.ActivationFraction * x.shape[^1]);
        return kept == 0 ? zeros_like(x) : AbsTopK.Apply(x, kept);
    }

    private bool Wants(HookPoint hook) => _tap is not null && _tap.Wants(hook);

    private Tensor Tap(HookPoint hook, Tensor x) => Wants(hook) ? _tap!.At(hook, x) : x;
}
