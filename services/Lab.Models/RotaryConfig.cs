using System.Text.Json.Serialization;

namespace Lab.Models;

/// <summary>Rotary positions (Su et al. 2021) in the layout of Hugging Face: channel i is paired with channel i + d_head / 2.</summary>
public sealed record RotaryConfig
{
    /// <summary>Frequency i is theta^(-2i / d_head) radians a token.</summary>
    /// <value>The default value is 10000.</value>
    [JsonPropertyName("theta")]
    public double Theta { get; init; } = 10000;

    /// <summary>Divides frequencies: all of them, or, with <see cref="OriginalContext"/>, the low ones. 1 for no scaling.</summary>
    /// <value>The default value is 1.</value>
    [JsonPropertyName("factor")]
    public double Factor { get; init; } = 1;

    /// <summary>The context that the model was first trained on, for the scaling of Llama 3.1; 0 for linear scaling.</summary>
    /// <value>The default value is 0.</value>
    [JsonPropertyName("original_context")]
    public int OriginalContext { get; init; }

    /// <summary>Wavelengths above original_context / low are divided in full.</summary>
    /// <value>The default value is 1.</value>
    [JsonPropertyName("low_frequency_factor")]
    public double LowFrequencyFactor { get; init; } = 1;

    /// <summary>Wavelengths below original_context / high are not divided.</summary>
    /// <value>The default value is 4.</value>
    [JsonPropertyName("high_frequency_factor")]
    public double HighFrequencyFactor { get; init; } = 4;

    /// <summary>The frequencies, in radians a token.</summary>
    /// <param name="dHead">Channels of a head.</param>
    public double[] Frequencies(int dHead) =>
        [.. Enumerable.Range(0, dHead / 2).Select(i => Scaled(Math.Pow(Theta, -2.0 * i / dHead)))];

    internal void Validate(string name)
    {
        Require(double.IsFinite(Theta) && Theta > 0, "theta", "must be positive and finite");
        Require(double.IsFinite(Factor) && Factor > 0, "factor", "must be positive and finite");
        Require(OriginalContext >= 0, "original_context", "must not be negative");
        Require(LowFrequencyFactor > 0 && HighFrequencyFactor > LowFrequencyFactor, "high_frequency_factor", "must be above low_frequency_factor, and that above 0");

        void Require(bool holds, string field, string message)
        {
            if (!holds) throw new ArgumentException($"{name}.{field} {message}.", $"{name}.{field}");
        }
    }

    private double Scaled(double frequency)
    {
        if (Factor == 1) return frequency;
        if (OriginalContext == 0) return frequency / Factor;
        double turns = OriginalContext * frequency / (2 * Math.PI);
        double kept = Math.Clamp((turns - LowFrequencyFactor) / (HighFrequencyFactor - LowFrequencyFactor), 0, 1);
        return ((1 - kept) * frequency / Factor) + (kept * frequency);
    }
}
