using System.Text.Json.Serialization;

namespace Lab.Models;

/// <summary>
/// The architecture of a pre-norm decoder. GPT-2, Llama, Mistral, Qwen2, Qwen3, Gemma 3 and the weight-sparse models of Gao et
/// al. 2025 are settings of this one record. The defaults are those of a weight-sparse model without sparsity: RMSNorm, biases,
/// untied, no positions. JSON names are TransformerLens's where it has one, else circuit_sparsity's.
/// </summary>
public sealed partial record TransformerConfig
{
    /// <summary>torch's default of RMSNorm: the machine epsilon of FP32.</summary>
    public const double MachineEpsilon = 1.1920929e-07;

    /// <summary>What kind of file this is: "lab" in config.json, beside Hugging Face's model types.</summary>
    [JsonPropertyName("model_type")]
    public string ModelType { get; init; } = "lab";

    /// <summary>Whose names the parameters and the module paths have.</summary>
    /// <value>The default value is <see cref="ModelFamily.CircuitSparsity"/>.</value>
    [JsonPropertyName("family")]
    public ModelFamily Family { get; init; } = ModelFamily.CircuitSparsity;

    /// <summary>Layers.</summary>
    [JsonPropertyName("n_layers")]
    public required int NLayers { get; init; }

    /// <summary>Width of the residual stream.</summary>
    [JsonPropertyName("d_model")]
    public required int DModel { get; init; }

    /// <summary>Attention heads per layer: of the queries.</summary>
    [JsonPropertyName("n_heads")]
    public required int NHeads { get; init; }

    /// <summary>Heads of keys and values, each shared by n_heads / n_key_value_heads query heads; 0 means n_heads.</summary>
    /// <value>The default value is 0.</value>
    [JsonPropertyName("n_key_value_heads")]
    public int NKeyValueHeads { get; init; }

    /// <summary>Channels per head.</summary>
    [JsonPropertyName("d_head")]
    public required int DHead { get; init; }

    /// <summary>MLP neurons per layer.</summary>
    [JsonPropertyName("d_mlp")]
    public required int DMlp { get; init; }

    /// <summary>Tokens in the vocabulary.</summary>
    [JsonPropertyName("d_vocab")]
    public required int DVocab { get; init; }

    /// <summary>The longest context, in tokens.</summary>
    [JsonPropertyName("n_ctx")]
    public required int NCtx { get; init; }

    /// <summary>The norm before each sublayer and before the unembedding.</summary>
    /// <value>The default value is <see cref="NormKind.Rms"/>.</value>
    [JsonPropertyName("normalization_type")]
    public NormKind Norm { get; init; } = NormKind.Rms;

    /// <summary>Added to the variance or mean square.</summary>
    /// <value>The default value is <see cref="MachineEpsilon"/>.</value>
    [JsonPropertyName("eps")]
    public double NormEpsilon { get; init; } = MachineEpsilon;

    /// <summary>Whether LayerNorm has a bias.</summary>
    /// <value>The default value is false.</value>
    [JsonPropertyName("norm_bias")]
    public bool NormBias { get; init; }

    /// <summary>Added to every norm's stored gain: 1 in Gemma, whose stored gains are offsets from 1.</summary>
    /// <value>The default value is 0.</value>
    [JsonPropertyName("norm_gain_offset")]
    public double NormGainOffset { get; init; }

    /// <summary>Whether a second norm is applied to what each sublayer adds to the residual stream (Gemma).</summary>
    /// <value>The default value is false.</value>
    [JsonPropertyName("use_normalization_before_and_after")]
    public bool SandwichNorms { get; init; }

    /// <summary>Whether queries and keys are RMS-normalised per head before the rotation (Qwen3, Gemma 3).</summary>
    /// <value>The default value is false.</value>
    [JsonPropertyName("use_qk_norm")]
    public bool QkNorm { get; init; }

    /// <summary>How the model knows positions.</summary>
    /// <value>The default value is <see cref="PositionKind.None"/>.</value>
    [JsonPropertyName("positional_embedding_type")]
    public PositionKind Positions { get; init; }

    /// <summary>Channels of position embeddings that are concatenated to what sublayers read; 0 for other kinds of positions.</summary>
    /// <value>The default value is 0.</value>
    [JsonPropertyName("d_pos_emb")]
    public int DPos { get; init; }

    /// <summary>Whether concatenated positions are fixed sinusoids, which are not trained.</summary>
    /// <value>The default value is false.</value>
    [JsonPropertyName("sinusoidal_cat_pos_emb")]
    public bool SinusoidalPositions { get; init; }

    /// <summary>The rotation of full-attention layers, for <see cref="PositionKind.Rotary"/>.</summary>
    [JsonPropertyName("rotary")]
    public RotaryConfig? Rotary { get; init; }

    /// <summary>The rotation of sliding-window layers; null for that of the others (Gemma 3 has another).</summary>
    [JsonPropertyName("rotary_local")]
    public RotaryConfig? LocalRotary { get; init; }

    /// <summary>Scores are multiplied by it; 0 means 1 / sqrt(d_head).</summary>
    /// <value>The default value is 0.</value>
    [JsonPropertyName("attn_scale")]
    public double AttentionScale { get; init; }

    /// <summary>Whether layer l's scores are divided by l + 1 as well (an option of GPT-2).</summary>
    /// <value>The default value is false.</value>
    [JsonPropertyName("scale_attn_by_inverse_layer_idx")]
    public bool ScaleAttentionByLayer { get; init; }

    /// <summary>How many tokens a sliding-window layer attends to, itself included.</summary>
    /// <value>The default value is 0.</value>
    [JsonPropertyName("window_size")]
    public int WindowSize { get; init; }

    /// <summary>The layers with a sliding window, by index.</summary>
    /// <value>The default value is none.</value>
    [JsonPropertyName("local_layers")]
    public EquatableList<int> LocalLayers { get; init; } = [];

    /// <summary>Whether queries, keys and values have biases.</summary>
    /// <value>The default value is true.</value>
    [JsonPropertyName("attn_bias")]
    public bool AttentionBias { get; init; } = true;

    /// <summary>Whether attention's output matrix has a bias.</summary>
    /// <value>The default value is true.</value>
    [JsonPropertyName("attn_out_bias")]
    public bool AttentionOutBias { get; init; } = true;

    /// <summary>Whether each head has a learnable logit in the denominator of its softmax.</summary>
    /// <value>The default value is false.</value>
    [JsonPropertyName("sink")]
    public bool AttentionSink { get; init; }

    /// <summary>Scores become cap x tanh(score / cap); 0 for no cap.</summary>
    /// <value>The default value is 0.</value>
    [JsonPropertyName("attn_scores_soft_cap")]
    public double AttentionSoftCap { get; init; }

    /// <summary>The MLP's nonlinearity.</summary>
    /// <value>The default value is <see cref="ActivationFunction.Gelu"/>.</value>
    [JsonPropertyName("act_fn")]
    public ActivationFunction Activation { get; init; }

    /// <summary>Whether neurons are act(gate) x linear.</summary>
    /// <value>The default value is false.</value>
    [JsonPropertyName("gated_mlp")]
    public bool GatedMlp { get; init; }

    /// <summary>Whether the MLP's matrices have biases.</summary>
    /// <value>The default value is true.</value>
    [JsonPropertyName("mlp_bias")]
    public bool MlpBias { get; init; } = true;

    /// <summary>Whether a ReLU follows each addition to the residual stream.</summary>
    /// <value>The default value is false.</value>
    [JsonPropertyName("residual_relu")]
    public bool ResidualRelu { get; init; }

    /// <summary>Token embeddings are multiplied by it: sqrt(d_model) in Gemma.</summary>
    /// <value>The default value is 1.</value>
    [JsonPropertyName("embedding_scale")]
    public double EmbeddingScale { get; init; } = 1;

    /// <summary>Whether the unembedding is the token embedding.</summary>
    /// <value>The default value is false.</value>
    [JsonPropertyName("tied_unembed")]
    public bool TiedUnembedding { get; init; }

    /// <summary>Logits become cap x tanh(logit / cap); 0 for no cap.</summary>
    /// <value>The default value is 0.</value>
    [JsonPropertyName("output_logits_soft_cap")]
    public double LogitSoftCap { get; init; }

    /// <summary>The fraction of channels that AbsTopK keeps at its sites; 1 switches it off.</summary>
    /// <value>The default value is 1.</value>
    [JsonPropertyName("afrac")]
    public double ActivationFraction { get; init; } = 1;

    /// <summary>Where AbsTopK is applied.</summary>
    /// <value>The default value is <see cref="AbsTopKSites.All"/>: the eight sites of each layer.</value>
    [JsonPropertyName("afrac_loctypes")]
    public AbsTopKSites ActivationSites { get; init; } = AbsTopKSites.All;

    /// <summary>Whether the row of the current token in a dense [d_vocab, d_vocab] table is added to the logits.</summary>
    /// <value>The default value is false.</value>
    [JsonPropertyName("enable_bigram_table")]
    public bool BigramTable { get; init; }

    /// <summary>Whether that table is trained; else it holds what was counted in a corpus.</summary>
    /// <value>The default value is true.</value>
    [JsonPropertyName("learnable_bigram_table")]
    public bool LearnedBigramTable { get; init; } = true;

    /// <summary>Whether a constant [d_vocab] is added to the logits. It is not trained.</summary>
    /// <value>The default value is false.</value>
    [JsonPropertyName("final_logits_bias")]
    public bool FinalLogitsBias { get; init; }
}
