using System.Text.Json;
using System.Text.Json.Nodes;
using Lab.Gateway.Definitions;

namespace Lab.Gateway.Operations;

/// <summary>
/// Lets a training step be given as in Gao et al. 2025: by how much wider it is than a base model, and how many of the base model's
/// weights are nonzero, whatever the width.
/// </summary>
internal static class ExpansionInputs
{
    private const string Factor = "expansion_factor", Share = "pfrac";
    private const int DefaultWidth = 128;
    private static readonly string[] Widths = ["d_model", "d_mlp"];

    /// <summary>Reports a factor or share that is no number above 0, and a factor that leaves nothing of a width.</summary>
    public static void Check(JsonObject with, string path, Violations violations)
    {
        foreach (string name in (string[])[Factor, Share])
        {
            if (with[name] is { } value && !ConfigMessage.IsUnknownYet(value) && !(IsNumber(value) && JsonNumbers.ToDouble(value) > 0))
                violations.Add($"{path}.{name}", "must be a number above 0");
        }

        if (!IsNumber(with[Factor]) || with["model"] is not (null or JsonObject)) return;
        double factor = JsonNumbers.ToDouble(with[Factor]!);
        foreach (string width in Widths)
        {
            JsonNode? given = with["model"] is JsonObject model ? model[width] : null;
            if (given is null && width == Widths[0]) given = DefaultWidth;
            if (IsNumber(given) && JsonNumbers.ToDouble(given!) is var whole && whole > 0 && factor > 0 && Math.Round(whole * factor) < 1)
                violations.Add($"{path}.{Factor}", $"leaves nothing of model.{width}");
        }
    }

    /// <summary>
    /// With "expansion_factor" E, model.d_model and, where given, model.d_mlp are E times as large. With "pfrac" p,
    /// recipe.weight_fraction is p / E^2, and recipe.embedding_fraction and, where it is not given, recipe.bias_fraction p / E, each at most 1. E is 1 where it is not given. Values that are
    /// not known yet, and a model or recipe that is none, leave the fields as they are.
    /// </summary>
    public static JsonObject Rewrite(JsonObject with)
    {
        if (!with.ContainsKey(Factor) && !with.ContainsKey(Share)) return with;
        JsonObject config = with.DeepClone().AsObject();
        _ = config.Remove(Factor, out JsonNode? factor);
        _ = config.Remove(Share, out JsonNode? share);
        if ((factor is not null && !IsNumber(factor)) || (share is not null && !IsNumber(share))) return config;
        if (config["model"] is not (null or JsonObject) || config["recipe"] is not (null or JsonObject)) return config;
        double e = factor is null ? 1 : JsonNumbers.ToDouble(factor);
        JsonObject model = Member(config, "model");
        model["d_model"] ??= DefaultWidth;
        foreach (string width in Widths)
            if (IsNumber(model[width])) model[width] = (long)Math.Round(JsonNumbers.ToDouble(model[width]!) * e);
        if (share is null) return config;
        JsonObject recipe = Member(config, "recipe");
        double p = JsonNumbers.ToDouble(share);
        recipe["weight_fraction"] = Math.Min(1, p / (e * e));
        recipe["embedding_fraction"] = Math.Min(1, p / e);
        recipe["bias_fraction"] ??= Math.Min(1, p / e);
        return config;
    }

    private static bool IsNumber(JsonNode? value) => value?.GetValueKind() == JsonValueKind.Number;

    private static JsonObject Member(JsonObject config, string name)
    {
        if (config[name] is JsonObject there) return there;
        JsonObject added = [];
        config[name] = added;
        return added;
    }
}
