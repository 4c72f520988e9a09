using System.Text.Json;
using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.Models;

/// <summary>
/// Models on disk: config.json (the <see cref="TransformerConfig"/>) and model.safetensors (FP32, circuit_sparsity's keys). Equal
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
        SafetensorsWriter.Write(Path.Combine(folder, WeightsFile), model.Weights.All.Select(parameter => parameter.Value.ToHost(parameter.Name)));
    }

    /// <summary>Reads a model.</summary>
    /// <param name="configPath">The config.</param>
    /// <param name="safetensorsPath">The weights: every parameter of the config in FP32, and nothing else.</param>
    /// <param name="device">Where the weights go; the CPU by default.</param>
    /// <exception cref="InvalidDataException">A file is malformed, or the weights are not those of the config. Names the file.</exception>
    public static Transformer Load(string configPath, string safetensorsPath, Device? device = null)
    {
        TransformerConfig config = ReadConfig(configPath);
        using SafetensorsFile file = SafetensorsFile.Open(safetensorsPath);
        List<Tensor> read = [];
        try
        {
            TransformerWeights weights = new(config, (name, shape) =>
            {
                Check(name, shape);
                read.Add(file.Read(name).ToTorch(device));
                return read[^1];
            });
            if (file.Entries.Keys.Except(weights.All.Select(parameter => parameter.Name)).Order(StringComparer.Ordinal).FirstOrDefault() is { } extra)
                throw new InvalidDataException($"{safetensorsPath} has the tensor {extra}, which a model of {configPath} has not.");
            return new Transformer(config, weights);
        }
        catch (InvalidDataException)
        {
            foreach (Tensor tensor in read) tensor.Dispose();
            throw;
        }

        void Check(string name, long[] shape)
        {
            if (!file.Entries.TryGetValue(name, out SafetensorsEntry? entry)) throw new InvalidDataException($"{safetensorsPath} has no tensor {name}.");
            if (entry.DataType != TensorDataType.Float32) throw new InvalidDataException($"{safetensorsPath}: {name} is {entry.DataType}, not Float32.");
            if (!entry.Shape.SequenceEqual(shape))
                throw new InvalidDataException($"{safetensorsPath}: {name} has the shape [{string.Join(", ", entry.Shape)}] where {configPath} asks for [{string.Join(", ", shape)}].");
        }
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
