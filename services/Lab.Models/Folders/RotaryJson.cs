namespace Lab.Models.Folders;

/// <summary>
/// Rotary settings: rope_theta and rope_scaling, or rope_parameters as newer files have them, there by kind of layer where kinds
/// differ.
/// </summary>
internal static class RotaryJson
{
    /// <summary>The rotation of full-attention layers.</summary>
    /// <param name="json">The config.</param>
    /// <param name="theta">The family's default.</param>
    /// <param name="kind">The kind of layer under rope_parameters, where it is listed by kind.</param>
    public static RotaryConfig Read(ConfigJson json, double theta, string? kind = null)
    {
        if (json.Number("partial_rotary_factor", 1) != 1) throw json.Unsupported("partial_rotary_factor", "must be 1");
        double found = json.Number("rope_theta", theta);
        if (json.Object("rope_parameters") is { } parameters)
        {
            ConfigJson own = (kind is null ? null : parameters.Object(kind)) ?? parameters;
            return Scaled(own, new RotaryConfig { Theta = own.Number("rope_theta", found) }, json);
        }

        RotaryConfig plain = new() { Theta = found };
        return json.Object("rope_scaling") is { } scaling ? Scaled(scaling, plain, json) : plain;
    }

    /// <summary>The rotation of Gemma 3's sliding-window layers, which is never scaled by rope_scaling.</summary>
    public static RotaryConfig ReadLocal(ConfigJson json)
    {
        double theta = json.Number("rope_local_base_freq", 10000);
        return json.Object("rope_parameters")?.Object("sliding_attention") is { } own
            ? Scaled(own, new RotaryConfig { Theta = own.Number("rope_theta", theta) }, json)
            : new RotaryConfig { Theta = theta };
    }

    private static RotaryConfig Scaled(ConfigJson scaling, RotaryConfig plain, ConfigJson config)
    {
        string kind = scaling.Text("rope_type") ?? scaling.Text("type") ?? "default";
        if (scaling.Number("partial_rotary_factor", 1) != 1) throw scaling.Unsupported("partial_rotary_factor", "must be 1");
        return kind switch
        {
            "default" => plain,
            "linear" => plain with { Factor = Factor() },
            "llama3" => plain with
            {
                Factor = Factor(),
                OriginalContext = scaling.IntOrNull("original_max_position_embeddings") ?? config.Int("max_position_embeddings"),
                LowFrequencyFactor = scaling.Number("low_freq_factor", 1),
                HighFrequencyFactor = scaling.Number("high_freq_factor", 4),
            },
            _ => throw scaling.Unsupported("rope_type", $"'{kind}' is not supported; supported are default, linear and llama3"),
        };

        double Factor() => scaling.NumberOrNull("factor") ?? throw scaling.Unsupported("factor", "is missing");
    }
}
