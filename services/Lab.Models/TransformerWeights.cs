using static TorchSharp.torch;

namespace Lab.Models;

/// <summary>Owns the parameters of a <see cref="Transformer"/>: they live until it is disposed, whatever scopes are open.</summary>
public sealed class TransformerWeights : IDisposable
{
    private readonly List<NamedParameter> _parameters = [];
    private readonly Func<string, long[], Tensor> _source;

    /// <summary>Takes each parameter from <paramref name="source"/> by name and shape.</summary>
    /// <param name="config">The architecture.</param>
    /// <param name="source">Gives a new floating tensor of the given name and shape; ownership passes to the weights.</param>
    /// <param name="root">What stands before the keys: null for the family's usual ("transformer.", "model.").</param>
    public TransformerWeights(TransformerConfig config, Func<string, long[], Tensor> source, string? root = null)
    {
        _source = source;
        Names = ParameterNames.Of(config.Family, root);
        TokenEmbedding = Take($"{Names.Root}{Names.Embed}.weight", config.DVocab, config.DModel);
        if (config.Positions is PositionKind.Learned or PositionKind.Concatenated)
            PositionEmbedding = Take($"{Names.Root}{Names.PosEmbed}.weight", config.NCtx, config.DPos > 0 ? config.DPos : config.DModel);
        Blocks = [.. Enumerable.Range(0, config.NLayers).Select(layer => Block(config, Names.Layer(layer)))];
        LnFinal = Norm(config, $"{Names.Root}{Names.LnFinal}", config.DModel);
        Unembedding = config.TiedUnembedding ? TokenEmbedding : Take($"{ParameterNames.Unembed}.weight", config.DVocab, config.DModel);
        Bigram = config.BigramTable ? Take("bigram_table", config.DVocab, config.DVocab) : null;
        FinalLogitsBias = config.FinalLogitsBias ? Take("final_logits_bias", config.DVocab) : null;
        IsFixed = parameter => ReferenceEquals(parameter, FinalLogitsBias)
            || (ReferenceEquals(parameter, Bigram) && !config.LearnedBigramTable)
            || (ReferenceEquals(parameter, PositionEmbedding) && config.SinusoidalPositions);
        _source = (name, _) => throw new InvalidOperationException($"{name} is asked for after the weights were made.");
    }

    /// <summary>All parameters, in a fixed order; a tied unembedding is not listed twice.</summary>
    public IReadOnlyList<NamedParameter> All => _parameters;

    /// <summary>Those of <see cref="All"/> that training changes: not the logits' constant, counted bigrams or sinusoids.</summary>
    public IEnumerable<NamedParameter> Trained => _parameters.Where(parameter => !IsFixed(parameter));

    /// <summary>[d_vocab, d_model].</summary>
    public NamedParameter TokenEmbedding { get; }

    /// <summary>[n_ctx, d_model], [n_ctx, d_pos_emb] where positions are concatenated, or null.</summary>
    public NamedParameter? PositionEmbedding { get; }

    /// <summary>The layers.</summary>
    public IReadOnlyList<BlockWeights> Blocks { get; }

    /// <summary>The final norm.</summary>
    public NormWeights LnFinal { get; }

    /// <summary>[d_vocab, d_model]; the token embedding where it is tied.</summary>
    public NamedParameter Unembedding { get; }

    /// <summary>[d_vocab, d_vocab], row of the current token; or null.</summary>
    public NamedParameter? Bigram { get; }

    /// <summary>[d_vocab], or null.</summary>
    public NamedParameter? FinalLogitsBias { get; }

    private Func<NamedParameter, bool> IsFixed { get; }

    /// <summary>The keys' parts.</summary>
    internal ParameterNames Names { get; }

    /// <summary>
    /// New FP32 weights: matrices and embeddings N(0, 0.02^2), output projections N(0, (0.02 / sqrt(2 n_layers))^2), biases and sinks
    /// 0, gains 1 (less the config's offset), bigram table uniform in [0, 0.02); a bigram table that is not learned 0, sinusoids as they are.
    /// </summary>
    /// <param name="config">The architecture.</param>
    /// <param name="seed">Equal seeds give equal weights.</param>
    public static TransformerWeights Initialize(TransformerConfig config, long seed)
    {
        using Generator generator = new((ulong)seed);
        double residualScale = 0.02 / Math.Sqrt(2.0 * config.NLayers);
        return new TransformerWeights(config, (name, shape) => name switch
        {
            "bigram_table" when !config.LearnedBigramTable => zeros(shape),
            "transformer.wpe.weight" when config.SinusoidalPositions => Sinusoids(config.NCtx, config.DPos),
            "bigram_table" => rand(shape, generator: generator).mul_(0.02),
            _ when name.EndsWith("bias", StringComparison.Ordinal) || name.EndsWith("sink_logit", StringComparison.Ordinal) => zeros(shape),
            _ when shape.Length == 1 => full(shape, 1 - config.NormGainOffset, dtype: ScalarType.Float32),
            _ when IsOutput(name) => randn(shape, generator: generator).mul_(residualScale),
            _ => randn(shape, generator: generator).mul_(0.02),
        });

        static bool IsOutput(string name) => new[] { "c_proj", "o_proj", "down_proj" }.Any(part => name.Contains(part, StringComparison.Ordinal));
    }

    /// <summary>
    /// [n_ctx, d_pos_emb]: sines, then cosines, of half as many periods, from 4 tokens to n_ctx, evenly spaced in their logarithm; a last
    /// odd channel is 0 (circuit_sparsity's sinusoidal_cat_pos_emb).
    /// </summary>
    private static Tensor Sinusoids(int length, int channels)
    {
        int half = Math.Max(1, channels / 2);
        double longest = Math.Max(4, length);
        float[] values = new float[length * channels];
        for (int channel = 0; channel < Math.Min(channels, 2 * half); channel++)
        {
            int index = channel % half;
            double period = 4 * Math.Pow(longest / 4, half == 1 ? 0 : index / (half - 1.0));
            for (int position = 0; position < length; position++)
            {
                double angle = 2 * Math.PI * position / period;
                values[(position * channels) + channel] = (float)(channel < half ? Math.Sin(angle) : Math.Cos(angle));
            }
        }

        return tensor(values, length, channels);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (NamedParameter parameter in _parameters) parameter.Value.Dispose();
    }

    private NamedParameter Take(string name, params long[] shape)
    {
        Tensor tensor = _source(name, shape);
        if (!tensor.shape.SequenceEqual(shape))
        {
            throw new InvalidDataException($"{name} has the shape [{string.Join(", ", tensor.shape)}] where the config asks for [{string.Join(", ", shape)}].");
        }

        NamedParameter parameter = new(name, tensor.DetachFromDisposeScope());
        _parameters.Add(parameter);
        return parameter;
    }

    private BlockWeights Block(TransformerConfig config, string layer) => new(
        Norm(config, $"{layer}.{Names.Ln1}", config.DModel),
        config.DPos > 0 ? Norm(config, $"{layer}.ln_p1", config.DPos) : null,
        Attention(config, $"{layer}.{Names.Attn}"),
        config.SandwichNorms ? Norm(config, $"{layer}.{Names.Ln1Post}", config.DModel) : null,
        Norm(config, $"{layer}.{Names.Ln2}", config.DModel),
        config.DPos > 0 ? Norm(config, $"{layer}.ln_p2", config.DPos) : null,
        new MlpWeights(
            Linear(config, $"{layer}.{Names.MlpIn}", config.DMlp, config.DRead, config.MlpBias),
            config.GatedMlp ? Linear(config, $"{layer}.mlp.up_proj", config.DMlp, config.DRead, config.MlpBias) : null,
            Linear(config, $"{layer}.{Names.MlpOut}", config.DModel, config.DMlp, config.MlpBias)),
        config.SandwichNorms ? Norm(config, $"{layer}.{Names.Ln2Post}", config.DModel) : null);

    private AttentionWeights Attention(TransformerConfig config, string attn)
    {
        long width = (long)config.NHeads * config.DHead, shared = (long)config.KeyValueHeads * config.DHead;
        bool isJoined = config.Family is ModelFamily.CircuitSparsity or ModelFamily.Gpt2;
        LinearWeights? Apart(string name, long size) => isJoined ? null : Linear(config, $"{attn}.{name}", size, config.DRead, config.AttentionBias);
        NormWeights? HeadNorm(string name) => config.QkNorm ? new NormWeights(Take($"{attn}.{name}.weight", config.DHead), null) : null;
        return new AttentionWeights(
            isJoined ? Linear(config, $"{attn}.c_attn", width + (2 * shared), config.DRead, config.AttentionBias) : null,
            Apart("q_proj", width),
            Apart("k_proj", shared),
            Apart("v_proj", shared),
            Linear(config, $"{attn}.{Names.AttnOut}", config.DModel, width, config.AttentionOutBias),
            HeadNorm("q_norm"),
            HeadNorm("k_norm"),
            config.AttentionSink ? Take($"{attn}.attn_imp.sink_logit", config.NHeads) : null);
    }

    private NormWeights Norm(TransformerConfig config, string name, long channels) =>
        new(Take($"{name}.weight", channels), config is { Norm: NormKind.Layer, NormBias: true } ? Take($"{name}.bias", channels) : null);

    private LinearWeights Linear(TransformerConfig config, string name, long outputs, long inputs, bool hasBias)
    {
        bool isInOut = config.Family == ModelFamily.Gpt2;
        NamedParameter weight = isInOut ? Take($"{name}.weight", inputs, outputs) : Take($"{name}.weight", outputs, inputs);
        return new LinearWeights(weight, hasBias ? Take($"{name}.bias", outputs) : null, isInOut);
    }
}
