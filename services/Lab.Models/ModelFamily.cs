using System.Text.Json.Serialization;

namespace Lab.Models;

/// <summary>Whose names a model's parameters and module paths have.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ModelFamily>))]
public enum ModelFamily
{
    /// <summary>openai/circuit_sparsity, and models that were trained here.</summary>
    CircuitSparsity,

    /// <summary>Hugging Face's GPT-2.</summary>
    Gpt2,

    /// <summary>Hugging Face's Llama 2, 3 and 3.1.</summary>
    Llama,

    /// <summary>Hugging Face's Mistral.</summary>
    Mistral,

    /// <summary>Hugging Face's Qwen2 and Qwen2.5.</summary>
    Qwen2,

    /// <summary>Hugging Face's Qwen3.</summary>
    Qwen3,

    /// <summary>Hugging Face's Gemma 3, text.</summary>
    Gemma3,
}

/// <summary>The norm of a residual stream.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<NormKind>))]
public enum NormKind
{
    /// <summary>x / sqrt(mean(x^2) + eps).</summary>
    Rms,

    /// <summary>(x - mean(x)) / sqrt(var(x) + eps).</summary>
    Layer,
}

/// <summary>How a model knows positions.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<PositionKind>))]
public enum PositionKind
{
    /// <summary>It does not, but by the causal mask.</summary>
    None,

    /// <summary>Learned embeddings, added to those of the tokens.</summary>
    Learned,

    /// <summary>Embeddings (learned or sinusoids, a table in the checkpoint), normed and concatenated to what each sublayer reads.</summary>
    Concatenated,

    /// <summary>Queries and keys are rotated (RoPE).</summary>
    Rotary,
}

/// <summary>The MLP's nonlinearity.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ActivationFunction>))]
public enum ActivationFunction
{
    /// <summary>GELU by the error function.</summary>
    Gelu,

    /// <summary>GELU by its tanh approximation ("gelu_new", "gelu_pytorch_tanh").</summary>
    GeluTanh,

    /// <summary>ReLU.</summary>
    Relu,

    /// <summary>x x sigmoid(x).</summary>
    Silu,
}

/// <summary>Where AbsTopK is applied, by circuit_sparsity's names ("attn_in", "mlp_neuron" ...).</summary>
[Flags]
[JsonConverter(typeof(JsonStringEnumConverter<AbsTopKSites>))]
public enum AbsTopKSites
{
    /// <summary>Nowhere.</summary>
    None = 0,

    /// <summary>"attn_in": what attention reads.</summary>
    AttnIn = 1,

    /// <summary>"attn_q": queries, over all heads together.</summary>
    AttnQ = 2,

    /// <summary>"attn_k": keys, over all heads together.</summary>
    AttnK = 4,

    /// <summary>"attn_v": values, over all heads together.</summary>
    AttnV = 8,

    /// <summary>"attn_out": what attention adds.</summary>
    AttnOut = 16,

    /// <summary>"mlp_in": what the MLP reads.</summary>
    MlpIn = 32,

    /// <summary>"mlp_neuron": neurons after the nonlinearity.</summary>
    MlpNeuron = 64,

    /// <summary>"mlp_out": what the MLP adds.</summary>
    MlpOut = 128,

    /// <summary>The eight sites of the paper.</summary>
    All = 255,

    /// <summary>"resid_post_attn": the residual stream after attention.</summary>
    ResidPostAttn = 256,

    /// <summary>"resid_post_mlp": the residual stream after the MLP.</summary>
    ResidPostMlp = 512,
}
