namespace Lab.Models.Folders;

/// <summary>Hugging Face's config.json of the families that are supported. What a family's code would do otherwise is refused by name.</summary>
internal static class HuggingFaceConfig
{
    public const string FileName = "config.json";

    /// <summary>The architecture.</summary>
    /// <param name="json">The config.</param>
    /// <param name="hasUnembedding">Whether the checkpoint has a tensor for the unembedding.</param>
    public static TransformerConfig ToConfig(ConfigJson json, bool hasUnembedding)
    {
        if (json.Has("quantization_config")) throw json.Unsupported("quantization_config", "is there: quantized weights are not supported");
        return json.Text("model_type") switch
        {
            "gpt2" => Gpt2Config.ToConfig(json),
            "llama" => Decoder(json, ModelFamily.Llama, hasUnembedding) with
            {
                AttentionBias = json.Flag("attention_bias", false),
                AttentionOutBias = json.Flag("attention_bias", false),
                MlpBias = json.Flag("mlp_bias", false),
            },
            "mistral" => Decoder(json, ModelFamily.Mistral, hasUnembedding) with
            {
                WindowSize = Window(json),
                LocalLayers = Window(json) > 0 ? LayerKinds.Local(json, _ => true) : [],
            },
            "qwen2" => Windowed(json, Decoder(json, ModelFamily.Qwen2, hasUnembedding) with { AttentionBias = true }),
            "qwen3" => Windowed(json, Decoder(json, ModelFamily.Qwen3, hasUnembedding) with
            {
                AttentionBias = json.Flag("attention_bias", false),
                AttentionOutBias = json.Flag("attention_bias", false),
                QkNorm = true,
            }),
            "gemma3_text" => Gemma3Config.ToConfig(json),
            "gemma3" => Gemma3Config.ToConfig(json.Object("text_config") ?? throw json.Unsupported("text_config", "is missing")),
            string other => throw json.Unsupported("model_type", $"'{other}' is not supported; supported are gpt2, llama, mistral, qwen2, qwen3, gemma3_text and gemma3"),
            null => throw json.Unsupported("model_type", "is missing"),
        };
    }

    internal static ActivationFunction Activation(ConfigJson json, string field, string missing) => (json.Text(field) ?? missing) switch
    {
        "silu" or "swish" => ActivationFunction.Silu,
        "gelu" => ActivationFunction.Gelu,
        "gelu_new" or "gelu_pytorch_tanh" or "gelu_fast" => ActivationFunction.GeluTanh,
        "relu" => ActivationFunction.Relu,
        string other => throw json.Unsupported(field, $"must be silu, gelu, gelu_new, gelu_pytorch_tanh or relu, not {other}"),
    };

    /// <summary>What Llama and its descendants share.</summary>
    private static TransformerConfig Decoder(ConfigJson json, ModelFamily family, bool hasUnembedding)
    {
        int dModel = json.Int("hidden_size"), heads = json.Int("num_attention_heads");
        if (heads < 1) throw json.Unsupported("num_attention_heads", $"must be positive, not {heads}");
        (int sharedHeads, int? dHead) = family switch
        {
            ModelFamily.Mistral => (8, null),
            ModelFamily.Qwen2 => (32, null),
            ModelFamily.Qwen3 => (32, 128),
            _ => (heads, (int?)null),
        };
        return new TransformerConfig
        {
            Family = family,
            NLayers = json.Int("num_hidden_layers"),
            DModel = dModel,
            NHeads = heads,
            NKeyValueHeads = json.Int("num_key_value_heads", sharedHeads),
            DHead = json.IntOrNull("head_dim") ?? dHead ?? dModel / heads,
            DMlp = json.Int("intermediate_size"),
            DVocab = json.Int("vocab_size"),
            NCtx = json.Int("max_position_embeddings", 2048),
            NormEpsilon = json.Number("rms_norm_eps", 1e-6),
            Positions = PositionKind.Rotary,
            Rotary = RotaryJson.Read(json, 10000),
            Activation = Activation(json, "hidden_act", "silu"),
            GatedMlp = true,
            AttentionBias = false,
            AttentionOutBias = false,
            MlpBias = false,
            TiedUnembedding = json.FlagOrNull("tie_word_embeddings") ?? !hasUnembedding,
        };
    }

    /// <summary>Qwen's windows: of the layers from max_window_layers on, or as layer_types says, and only if they are switched on.</summary>
    private static TransformerConfig Windowed(ConfigJson json, TransformerConfig config)
    {
        if (!json.Flag("use_sliding_window", false)) return config;
        int window = Window(json), first = json.Int("max_window_layers", 28);
        return config with { WindowSize = window, LocalLayers = window > 0 ? LayerKinds.Local(json, layer => layer >= first) : [] };
    }

    /// <summary>The window; 4096 where nothing is said, 0 where null is.</summary>
    private static int Window(ConfigJson json) => json.HasField("sliding_window") ? json.Int("sliding_window", 0) : 4096;
}

/// <summary>Which layers have a sliding window.</summary>
internal static class LayerKinds
{
    /// <summary>The layers that layer_types calls "sliding_attention"; where there is no such list, those that the rule names.</summary>
    public static EquatableList<int> Local(ConfigJson json, Func<int, bool> rule)
    {
        int layers = json.Int("num_hidden_layers", 26);
        if (json.Texts("layer_types") is not { } kinds) return [.. Enumerable.Range(0, Math.Clamp(layers, 0, 1024)).Where(rule)];
        if (kinds.Count != layers) throw json.Unsupported("layer_types", $"has {kinds.Count} entries for {layers} layers");
        return [.. Enumerable.Range(0, layers).Where(layer => kinds[layer] switch
        {
            "sliding_attention" => true,
            "full_attention" => false,
            string other => throw json.Unsupported("layer_types", $"has '{other}'; supported are full_attention and sliding_attention"),
        })];
    }
}

/// <summary>GPT-2's config.</summary>
internal static class Gpt2Config
{
    public static TransformerConfig ToConfig(ConfigJson json)
    {
        if (json.Flag("add_cross_attention", false)) throw json.Unsupported("add_cross_attention", "is not supported");
        int dModel = json.Int("n_embd", 768), heads = json.Int("n_head", 12);
        if (heads < 1 || dModel % heads != 0) throw json.Unsupported("n_head", $"must divide n_embd, {dModel}; it is {heads}");
        return new TransformerConfig
        {
            Family = ModelFamily.Gpt2,
            NLayers = json.Int("n_layer", 12),
            DModel = dModel,
            NHeads = heads,
            DHead = dModel / heads,
            DMlp = json.Int("n_inner", 4 * dModel),
            DVocab = json.Int("vocab_size", 50257),
            NCtx = json.IntOrNull("n_positions") ?? json.Int("n_ctx", 1024),
            Norm = NormKind.Layer,
            NormEpsilon = json.Number("layer_norm_epsilon", 1e-5),
            NormBias = true,
            Positions = PositionKind.Learned,
            AttentionScale = json.Flag("scale_attn_weights", true) ? 0 : 1,
            ScaleAttentionByLayer = json.Flag("scale_attn_by_inverse_layer_idx", false),
            Activation = HuggingFaceConfig.Activation(json, "activation_function", "gelu_new"),
            TiedUnembedding = json.Flag("tie_word_embeddings", true),
        };
    }
}

/// <summary>Gemma 3's text config, whose files leave out what is the default.</summary>
internal static class Gemma3Config
{
    public static TransformerConfig ToConfig(ConfigJson json)
    {
        if (json.Flag("use_bidirectional_attention", false)) throw json.Unsupported("use_bidirectional_attention", "is not supported");
        int dModel = json.Int("hidden_size", 2304), dHead = json.Int("head_dim", 256), pattern = Math.Max(1, json.IntOrNull("sliding_window_pattern") ?? json.Int("_sliding_window_pattern", 6));
        double scalar = json.Number("query_pre_attn_scalar", 256);
        if (scalar <= 0) throw json.Unsupported("query_pre_attn_scalar", $"must be positive, not {scalar}");
        bool hasBias = json.Flag("attention_bias", false);
        return new TransformerConfig
        {
            Family = ModelFamily.Gemma3,
            NLayers = json.Int("num_hidden_layers", 26),
            DModel = dModel,
            NHeads = json.Int("num_attention_heads", 8),
            NKeyValueHeads = json.Int("num_key_value_heads", 4),
            DHead = dHead,
            DMlp = json.Int("intermediate_size", 9216),
            DVocab = json.Int("vocab_size", 262208),
            NCtx = json.Int("max_position_embeddings", 131072),
            NormEpsilon = json.Number("rms_norm_eps", 1e-6),
            NormGainOffset = 1,
            SandwichNorms = true,
            QkNorm = true,
            Positions = PositionKind.Rotary,
            Rotary = RotaryJson.Read(json, 1_000_000, "full_attention"),
            LocalRotary = RotaryJson.ReadLocal(json),
            AttentionScale = 1 / Math.Sqrt(scalar),
            WindowSize = json.Int("sliding_window", 4096),
            LocalLayers = LayerKinds.Local(json, layer => (layer + 1) % pattern != 0),
            Activation = HuggingFaceConfig.Activation(json, "hidden_activation", "gelu_pytorch_tanh"),
            GatedMlp = true,
            AttentionBias = hasBias,
            AttentionOutBias = hasBias,
            MlpBias = false,
            AttentionSoftCap = json.Number("attn_logit_softcapping", 0),
            LogitSoftCap = json.Number("final_logit_softcapping", 0),
            EmbeddingScale = Math.Sqrt(dModel),
            TiedUnembedding = json.Flag("tie_word_embeddings", true),
        };
    }
}
