using System.Text.Json.Serialization;

namespace Lab.Models;

/// <content>What follows from the settings, and what they must obey.</content>
public sealed partial record TransformerConfig
{
    /// <summary>Heads of keys and values.</summary>
    [JsonIgnore]
    public int KeyValueHeads => NKeyValueHeads == 0 ? NHeads : NKeyValueHeads;

    /// <summary>Query heads that share one head of keys and values.</summary>
    [JsonIgnore]
    public int HeadsPerKeyValue => NHeads / KeyValueHeads;

    /// <summary>Channels that attention and the MLP read: d_model, and concatenated position channels.</summary>
    [JsonIgnore]
    public int DRead => DModel + DPos;

    /// <summary>Whether position embeddings are added to the token embeddings.</summary>
    [JsonIgnore]
    public bool AddsPositions => Positions == PositionKind.Learned;

    /// <summary>What a layer's scores are multiplied by.</summary>
    public double ScaleOf(int layer) => (AttentionScale == 0 ? 1 / Math.Sqrt(DHead) : AttentionScale) / (ScaleAttentionByLayer ? layer + 1 : 1);

    /// <summary>How many tokens a layer attends to, itself included; <see cref="int.MaxValue"/> for all.</summary>
    public int WindowOf(int layer) => LocalLayers.Contains(layer) ? WindowSize : int.MaxValue;

    /// <summary>A layer's rotation; null if there is none.</summary>
    public RotaryConfig? RotaryOf(int layer) => LocalRotary is not null && LocalLayers.Contains(layer) ? LocalRotary : Rotary;

    /// <summary>Checks the laws of shape.</summary>
    /// <exception cref="ArgumentException">A setting is out of range; ParamName is its JSON name.</exception>
    public TransformerConfig Validate()
    {
        Require(ModelType == "lab", "model_type", $"must be lab, not {ModelType}");
        RequireSize(NLayers, 1024, "n_layers");
        RequireSize(DModel, 1 << 17, "d_model");
        RequireSize(NHeads, 1 << 16, "n_heads");
        Require(NKeyValueHeads >= 0 && NHeads % KeyValueHeads == 0, "n_key_value_heads", $"must divide n_heads, {NHeads}; it is {NKeyValueHeads}");
        RequireSize(DHead, 1 << 16, "d_head");
        RequireSize(DMlp, 1 << 21, "d_mlp");
        Require(DVocab is >= 2 and <= 1 << 21, "d_vocab", $"must be from 2 to {1 << 21}, not {DVocab}");
        RequireSize(NCtx, 1 << 24, "n_ctx");
        Require(NormEpsilon is >= 0 and < 1, "eps", $"must be at least 0 and below 1, not {NormEpsilon}");
        Require(double.IsFinite(NormGainOffset), "norm_gain_offset", "must be finite");
        Require(Positions == PositionKind.Concatenated ? DPos is >= 1 and <= 1 << 16 : DPos == 0, "d_pos_emb", $"must be positive where positions are concatenated, and else 0, not {DPos}");
        Require(!SinusoidalPositions || Positions == PositionKind.Concatenated, "sinusoidal_cat_pos_emb", "needs concatenated positions");
        Require((Positions == PositionKind.Rotary) == (Rotary is not null), "rotary", "must be there for rotary positions, and only then");
        Require(Rotary is null || DHead % 2 == 0, "d_head", $"must be even for rotary positions, not {DHead}");
        Rotary?.Validate("rotary");
        LocalRotary?.Validate("rotary_local");
        Require(double.IsFinite(AttentionScale) && AttentionScale >= 0, "attn_scale", "must be finite and not negative");
        Require(LocalLayers.Count == 0 ? WindowSize >= 0 : WindowSize >= 1, "window_size", $"must be positive where layers have a window, not {WindowSize}");
        Require(LocalLayers.All(layer => (uint)layer < (uint)NLayers), "local_layers", $"must be layers, from 0 to {NLayers - 1}");
        Require(AttentionSoftCap >= 0 && double.IsFinite(AttentionSoftCap), "attn_scores_soft_cap", "must be finite and not negative");
        Require(LogitSoftCap >= 0 && double.IsFinite(LogitSoftCap), "output_logits_soft_cap", "must be finite and not negative");
        Require(double.IsFinite(EmbeddingScale), "embedding_scale", "must be finite");
        Require(ActivationFraction is > 0 and <= 1, "afrac", $"must be above 0 and at most 1, not {ActivationFraction}");
        return this;
    }

    private static void RequireSize(int value, int most, string name) => Require(value >= 1 && value <= most, name, $"must be from 1 to {most}, not {value}");

    private static void Require(bool holds, string name, string message)
    {
        if (!holds) throw new ArgumentException($"{name} {message}.", name);
    }
}
