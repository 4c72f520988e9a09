using Lab.Models.Checkpoints;
using static TorchSharp.torch;

namespace Lab.Models.Folders;

/// <summary>
/// A folder with a model: Hugging Face's (config.json; model.safetensors, or shards and their index), openai/circuit_sparsity's
/// (beeg_config.json, final_model.pt), or one that was written here (config.json, model.safetensors), which may stand beside theirs.
/// </summary>
public sealed class ModelFolder : IDisposable
{
    private readonly ICheckpoint _checkpoint;

    private ModelFolder(TransformerConfig config, ICheckpoint checkpoint) => (Config, _checkpoint) = (config, checkpoint);

    /// <summary>The architecture.</summary>
    public TransformerConfig Config { get; }

    /// <summary>The weights, before they are loaded.</summary>
    public ICheckpoint Checkpoint => _checkpoint;

    /// <summary>Reads the config, and the headers of the weights.</summary>
    /// <param name="folder">The folder.</param>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="FileNotFoundException">It has no config or no weights. Names what was looked for.</exception>
    /// <exception cref="InvalidDataException">A file is malformed, or asks for what is not supported. Names file and field.</exception>
    public static ModelFolder Open(string folder)
    {
        if (!Directory.Exists(folder)) throw new DirectoryNotFoundException($"There is no folder {folder}.");
        string sparse = Path.Combine(folder, CircuitSparsityConfig.FileName), config = Path.Combine(folder, HuggingFaceConfig.FileName);
        // A model that was written here may be kept in both formats; its weights are then read from safetensors, which have its own config.
        bool isSparse = File.Exists(sparse) && !(IsOwn(config) && File.Exists(Path.Combine(folder, Checkpoints.Checkpoint.SafetensorsFileName)));
        if (!isSparse && !File.Exists(config)) throw new FileNotFoundException($"{folder} has neither {HuggingFaceConfig.FileName} nor {CircuitSparsityConfig.FileName}.");
        ICheckpoint checkpoint = Checkpoints.Checkpoint.Open(folder);
        try
        {
            return new ModelFolder(ReadConfig(isSparse ? sparse : config, checkpoint), checkpoint);
        }
        catch
        {
            checkpoint.Dispose();
            throw;
        }
    }

    /// <summary>Reads a folder and loads its model.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="type">FP32, BF16 or FP64; null for FP32.</param>
    /// <param name="device">Where the weights go; the CPU by default.</param>
    /// <exception cref="InvalidDataException">The files do not make a model.</exception>
    public static Transformer Load(string folder, ScalarType? type = null, Device? device = null)
    {
        using ModelFolder opened = Open(folder);
        return opened.Load(type, device);
    }

    /// <summary>Loads the model; see <see cref="TransformerLoader.Load"/>.</summary>
    public Transformer Load(ScalarType? type = null, Device? device = null, Action<long>? progress = null, CancellationToken ct = default) =>
        TransformerLoader.Load(Config, _checkpoint, type, device, progress, ct);

    /// <summary>Reads a config of any kind.</summary>
    /// <param name="file">Its path; openai/circuit_sparsity's by its name.</param>
    /// <param name="checkpoint">The weights: some settings are known by what is there.</param>
    /// <exception cref="InvalidDataException">It is malformed, or asks for what is not supported.</exception>
    public static TransformerConfig ReadConfig(string file, ICheckpoint checkpoint)
    {
        ConfigJson json = ConfigJson.Read(file);
        bool Has(string name) => checkpoint.Tensors.ContainsKey(name);
        if (Path.GetFileName(file) != CircuitSparsityConfig.FileName && IsOwn(json)) return TransformerCheckpoint.ReadConfig(file);
        return Checked(file, () => Path.GetFileName(file) == CircuitSparsityConfig.FileName
            ? CircuitSparsityConfig.ToConfig(json, Has)
            : HuggingFaceConfig.ToConfig(json, Has("lm_head.weight") || Has("language_model.lm_head.weight")));
    }

    /// <summary>Reads a config of openai/circuit_sparsity's, whatever its file is named.</summary>
    /// <param name="file">Its path.</param>
    /// <param name="checkpoint">The weights: some settings are known by what is there.</param>
    /// <exception cref="InvalidDataException">It is malformed, or asks for what is not supported.</exception>
    public static TransformerConfig ReadCircuitSparsityConfig(string file, ICheckpoint checkpoint) =>
        Checked(file, () => CircuitSparsityConfig.ToConfig(ConfigJson.Read(file), checkpoint.Tensors.ContainsKey));

    private static TransformerConfig Checked(string file, Func<TransformerConfig> read)
    {
        try
        {
            return read().Validate();
        }
        catch (ArgumentException e)
        {
            throw new InvalidDataException($"{file}: {e.Message}", e);
        }
    }

    private static bool IsOwn(string config) => File.Exists(config) && IsOwn(ConfigJson.Read(config));

    private static bool IsOwn(ConfigJson json) => json.Text("model_type") == "lab";

    /// <inheritdoc/>
    public void Dispose() => _checkpoint.Dispose();
}
