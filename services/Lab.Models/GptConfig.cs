using System.Text.Json.Serialization;

namespace Lab.Models;

/// <summary>
/// The architecture of a GPT-2-style pre-norm decoder with RMSNorm and biases (Gao et al. 2025, section 2.1 and A.1).
/// Dense and weight-sparse models are settings of this one record. JSON names are circuit_sparsity's where it has one.
/// </summary>
public sealed record GptConfig
{
    /// <summary>Layers.</summary>
    [JsonPropertyName("n_layer")]
    public required int NLayers { get; init; }

    /// <summary>Width of the residual stream.</summary>
    [JsonPropertyName("d_model")]
    public required int DModel { get; init; }

    /// <summary>Attention heads per layer.</summary>
    [JsonPropertyName("n_head")]
    public required int NHeads { get; init; }

    /// <summary>Channels per head.</summary>
    [JsonPropertyName("d_head")]
    public required int DHead { get; init; }

    /// <summary>MLP neurons per layer.</summary>
    [JsonPropertyName("d_mlp")]
    public required int DMlp { get; init; }

    /// <summary>Tokens in the vocabulary.</summary>
    [JsonPropertyName("vocab_size")]
    public required int DVocab { get; init; }

    /// <summary>The longest context, in tokens.</summary>
    [JsonPropertyName("block_size")]
    public required int NCtx { get; init; }

    /// <summary>The fraction of channels that AbsTopK keeps at the eight sites of each layer; 1 switches it off.</summary>
    /// <value>The default value is 1.</value>
    [JsonPropertyName("afrac")]
    public double ActivationFraction { get; init; } = 1;

    /// <summary>Whether each head has a learnable logit in the denominator of its softmax.</summary>
    /// <value>The default value is false.</value>
    [JsonPropertyName("sink")]
    public bool AttentionSink { get; init; }

    /// <summary>Whether the row of the current token in a dense [d_vocab, d_vocab] table is added to the logits.</summary>
    /// <value>The default value is false.</value>
    [JsonPropertyName("enable_bigram_table")]
    public bool BigramTable { get; init; }

    /// <summary>Whether learned absolute position embeddings are added to the token embeddings.</summary>
    /// <value>The default value is false.</value>
    [JsonPropertyName("position_embedding")]
    public bool PositionEmbedding { get; init; }

    /// <summary>Whether a constant [d_vocab] is added to the logits. It is not trained.</summary>
    /// <value>The default value is false.</value>
    [JsonPropertyName("final_logits_bias")]
    public bool FinalLogitsBias { get; init; }

    /// <summary>Checks the laws of shape.</summary>
    /// <exception cref="ArgumentException">A size is out of range; ParamName is its JSON name.</exception>
    public GptConfig Validate()
    {
        Require(NLayers is >= 1 and <= 1024, "n_layer", $"must be from 1 to 1024, not {NLayers}");
        Require(DModel is >= 1 and <= 65536, "d_model", $"must be from 1 to 65536, not {DModel}");
        Require(NHeads is >= 1 and <= 65536, "n_head", $"must be from 1 to 65536, not {NHeads}");
        Require(DHead is >= 1 and <= 65536, "d_head", $"must be from 1 to 65536, not {DHead}");
        Require(DMlp is >= 1 and <= 1 << 20, "d_mlp", $"must be from 1 to {1 << 20}, not {DMlp}");
        Require(DVocab is >= 2 and <= 1 << 20, "vocab_size", $"must be from 2 to {1 << 20}, not {DVocab}");
        Require(NCtx is >= 1 and <= 1 << 20, "block_size", $"must be from 1 to {1 << 20}, not {NCtx}");
        Require(ActivationFraction is > 0 and <= 1, "afrac", $"must be above 0 and at most 1, not {ActivationFraction}");
        return this;
    }

    private static void Require(bool holds, string name, string message)
    {
        if (!holds) throw new ArgumentException($"{name} {message}.", name);
    }
}
