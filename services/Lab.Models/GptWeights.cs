using static TorchSharp.torch;

namespace Lab.Models;

/// <summary>One layer's parameters. Linear weights are [out, in].</summary>
/// <param name="Ln1">[d_model]: gain of the norm before attention.</param>
/// <param name="CAttn">[3 x n_heads x d_head, d_model]: queries, keys and values.</param>
/// <param name="CAttnBias">[3 x n_heads x d_head].</param>
/// <param name="CProj">[d_model, n_heads x d_head].</param>
/// <param name="CProjBias">[d_model].</param>
/// <param name="SinkLogit">[n_heads], or null.</param>
/// <param name="Ln2">[d_model]: gain of the norm before the MLP.</param>
/// <param name="CFc">[d_mlp, d_model].</param>
/// <param name="CFcBias">[d_mlp].</param>
/// <param name="MlpCProj">[d_model, d_mlp].</param>
/// <param name="MlpCProjBias">[d_model].</param>
public sealed record BlockWeights(Tensor Ln1, Tensor CAttn, Tensor CAttnBias, Tensor CProj, Tensor CProjBias, Tensor? SinkLogit, Tensor Ln2, Tensor CFc, Tensor CFcBias, Tensor MlpCProj, Tensor MlpCProjBias);

/// <summary>A named parameter.</summary>
/// <param name="Name">circuit_sparsity's key: "transformer.h.0.attn.c_attn.weight".</param>
/// <param name="Value">The parameter, owned by the weights.</param>
public readonly record struct NamedParameter(string Name, Tensor Value);

/// <summary>Owns the parameters of a <see cref="Gpt"/>: they live until it is disposed, whatever scopes are open.</summary>
public sealed class GptWeights : IDisposable
{
    private readonly List<NamedParameter> _parameters = [];

    /// <summary>Takes each parameter from <paramref name="source"/> by name and shape.</summary>
    /// <param name="config">The architecture.</param>
    /// <param name="source">Gives a new FP32 tensor of the given name and shape; ownership passes to the weights.</param>
    public GptWeights(GptConfig config, Func<string, long[], Tensor> source)
    {
        Tensor Take(string name, params long[] shape)
        {
            Tensor tensor = source(name, shape);
            if (!tensor.shape.SequenceEqual(shape))
            {
                throw new InvalidDataException($"{name} has the shape [{string.Join(", ", tensor.shape)}] where the config asks for [{string.Join(", ", shape)}].");
            }

            Tensor owned = tensor.DetachFromDisposeScope();
            _parameters.Add(new NamedParameter(name, owned));
            return owned;
        }

        long width = (long)config.NHeads * config.DHead;
        TokenEmbedding = Take("transformer.wte.weight", config.DVocab, config.DModel);
        PositionEmbedding = config.PositionEmbedding ? Take("transformer.wpe.weight", config.NCtx, config.DModel) : null;
        Blocks = [.. Enumerable.Range(0, config.NLayers).Select(layer =>
        {
            string prefix = $"transformer.h.{layer}";
            return new BlockWeights(
                Take($"{prefix}.ln_1.weight", config.DModel),
                Take($"{prefix}.attn.c_attn.weight", 3 * width, config.DModel),
                Take($"{prefix}.attn.c_attn.bias", 3 * width),
                Take($"{prefix}.attn.c_proj.weight", config.DModel, width),
                Take($"{prefix}.attn.c_proj.bias", config.DModel),
                config.AttentionSink ? Take($"{prefix}.attn.attn_imp.sink_logit", config.NHeads) : null,
                Take($"{prefix}.ln_2.weight", config.DModel),
                Take($"{prefix}.mlp.c_fc.weight", config.DMlp, config.DModel),
                Take($"{prefix}.mlp.c_fc.bias", config.DMlp),
                Take($"{prefix}.mlp.c_proj.weight", config.DModel, config.DMlp),
                Take($"{prefix}.mlp.c_proj.bias", config.DModel));
        })];
        LnFinal = Take("transformer.ln_f.weight", config.DModel);
        Unembedding = Take("lm_head.weight", config.DVocab, config.DModel);
        Bigram = config.BigramTable ? Take("bigram_table", config.DVocab, config.DVocab) : null;
        FinalLogitsBias = config.FinalLogitsBias ? Take("final_logits_bias", config.DVocab) : null;
    }

    /// <summary>All parameters, in a fixed order.</summary>
    public IReadOnlyList<NamedParameter> All => _parameters;

    /// <summary>[d_vocab, d_model].</summary>
    public Tensor TokenEmbedding { get; }

    /// <summary>[n_ctx, d_model], or null.</summary>
    public Tensor? PositionEmbedding { get; }

    /// <summary>The layers.</summary>
    public IReadOnlyList<BlockWeights> Blocks { get; }

    /// <summary>[d_model]: gain of the final norm.</summary>
    public Tensor LnFinal { get; }

    /// <summary>[d_vocab, d_model].</summary>
    public Tensor Unembedding { get; }

    /// <summary>[d_vocab, d_vocab], or null.</summary>
    public Tensor? Bigram { get; }

    /// <summary>[d_vocab], constant, or null.</summary>
    public Tensor? FinalLogitsBias { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (NamedParameter parameter in _parameters) parameter.Value.Dispose();
    }

    /// <summary>
    /// Fresh weights as the authors' code makes them: matrices N(0, 0.02), output projections N(0, 0.02 / sqrt(2 n_layers)),
    /// biases and sinks 0, gains 1, the bigram table uniform on [0, 0.02).
    /// </summary>
    public static GptWeights Initialize(GptConfig config, long seed)
    {
        using Generator generator = new((ulong)seed);
        double residualScale = 0.02 / Math.Sqrt(2.0 * config.NLayers);
        return new GptWeights(config, (name, shape) => name switch
        {
            "bigram_table" => rand(shape, generator: generator).mul_(0.02),
            _ when name.EndsWith("bias", StringComparison.Ordinal) || name.EndsWith("sink_logit", StringComparison.Ordinal) => zeros(shape),
            _ when shape.Length == 1 => ones(shape),
            _ when name.EndsWith("c_proj.weight", StringComparison.Ordinal) => randn(shape, generator: generator).mul_(residualScale),
            _ => randn(shape, generator: generator).mul_(0.02),
        });
    }
}
