using System.Text.Json;
using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.Models;

/// <summary>
/// Models on disk: config.json (the <see cref="GptConfig"/>) and model.safetensors (FP32, circuit_sparsity's keys). Equal
/// models give equal bytes.
/// </summary>
public static class GptCheckpoint
{
    /// <summary>The config's file name.</summary>
    public const string ConfigFile = "config.json";

    /// <summary>The weights' file name.</summary>
    public const string WeightsFile = "model.safetensors";

    private static readonly JsonSerializerOptions Json = new() { WriteIndented = true };

    /// <summary>Writes both files into a folder.</summary>
    public static void Save(Gpt model, string folder)
    {
        File.WriteAllText(Path.Combine(folder, ConfigFile), JsonSerializer.Serialize(model.Config, Json) + "\n");
        SafetensorsWriter.Write(Path.Combine(folder, WeightsFile), model.Weights.All.Select(parameter => parameter.Value.ToHost(parameter.Name)));
    }

    /// <summary>Reads a model.</summary>
    /// <exception cref="InvalidDataException">A file is malformed, or the weights are not those of the config.</exception>
    public static Gpt Load(string configPath, string safetensorsPath, Device? device = null)
    {
        GptConfig config = ReadConfig(configPath);
        using SafetensorsFile file = SafetensorsFile.Open(safetensorsPath);
        GptWeights weights = new(config, (name, _) =>
        {
            if (!file.Entries.ContainsKey(name)) throw new InvalidDataException($"{safetensorsPath} has no tensor {name}.");
            return file.Read(name).ToTorch(device);
        });
        return new Gpt(config, weights);
    }

    /// <summary>Reads and checks a config.</summary>
    /// <exception cref="InvalidDataException">It is malformed or breaks a law of shape.</exception>
    public static GptConfig ReadConfig(string path)
    {
        try
        {
            GptConfig config = JsonSerializer.Deserialize<GptConfig>(File.ReadAllText(path)) ?? throw new InvalidDataException($"{path} is empty.");
            return config.Validate();
        }
        catch (Exception e) when (e is JsonException or ArgumentException)
        {
            throw new InvalidDataException($"{path} is not a model config: {e.Message}", e);
        }
    }
}
