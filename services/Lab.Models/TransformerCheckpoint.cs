using System.Text.Json;
using Lab.Models.Checkpoints;
using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.Models;

/// <summary>
/// Models on disk: config.json (the <see cref="TransformerConfig"/>) and model.safetensors (the family's keys). Equal
/// models give equal bytes.
/// </summary>
public static class TransformerCheckpoint
{
    /// <summary>The config's file name.</summary>
    public const string ConfigFile = "config.json";

    /// <summary>The weights' file name.</summary>
    public const string WeightsFile = "model.safetensors";

    private static readonly JsonSerializerOptions Json = new() { WriteIndented = true };

    /// <summary>Writes both files into a folder.</summary>
    public static void Save(Transformer model, string folder)
    {
        File.WriteAllText(Path.Combine(folder, ConfigFile), JsonSerializer.Serialize(model.Config, Json) + "\n");
        SafetensorsWriter.Write(Path.Combine(folder, WeightsFile), model.Weights.All.Select(parameter => (parameter.Name, parameter.Value)));
    }

    /// <summary>Reads a model.</summary>
    /// <param name="configPath">The config.</param>
    /// <param name="safetensorsPath">The weights: every parameter of the config.</param>
    /// <param name="device">Where the weights go; the CPU by default.</param>
    /// <param name="type">FP32, BF16 or FP64; null for FP32.</param>
    /// <exception cref="InvalidDataException">A file is malformed, or the weights are not those of the config. Names the file.</exception>
    public static Transformer Load(string configPath, string safetensorsPath, Device? device = null, ScalarType? type = null)
    {
        TransformerConfig config = ReadConfig(configPath);
        using ICheckpoint checkpoint = Checkpoint.OpenSafetensors(safetensorsPath);
        return TransformerLoader.Load(config, checkpoint, type, device);
    }

    /// <summary>Reads and checks a config.</summary>
    /// <exception cref="InvalidDataException">It is malformed or breaks a law of shape.</exception>
    public static TransformerConfig ReadConfig(string path)
    {
        try
        {
            TransformerConfig config = JsonSerializer.Deserialize<TransformerConfig>(File.ReadAllText(path)) ?? throw new InvalidDataException($"{path} is empty.");
            return config.Validate();
        }
        catch (Exception e) when (e is JsonException or ArgumentException)
        {
            throw new InvalidDataException($"{path} is not a model config: {e.Message}", e);
        }
    }
}
