using System.Globalization;
using Lab.BridgeAlignment.Bridges;
using Lab.Tensors;

namespace Lab.BridgeAlignment.Runs;

/// <summary>
/// The state of a training on disk, replaced atomically. It carries the digests of the inputs, so that a run goes on with what it
/// began with even if a name has come to point elsewhere.
/// </summary>
internal static class AlignmentCheckpoint
{
    private const string FileName = "checkpoint.safetensors";
    private const string StepKey = "step";

    /// <summary>The digests by role of the checkpoint in a folder, or null where there is none.</summary>
    /// <exception cref="InvalidDataException">The file is damaged.</exception>
    public static IReadOnlyDictionary<string, string>? ReadInputs(string folder)
    {
        string path = Path.Combine(folder, FileName);
        if (!File.Exists(path)) return null;
        using SafetensorsFile file = SafetensorsFile.Open(path);
        return file.Metadata;
    }

    /// <summary>Writes the trainer's state.</summary>
    public static void Save(string folder, BridgeTrainer trainer, IReadOnlyDictionary<string, string> inputs)
    {
        Dictionary<string, string> metadata = new(inputs) { [StepKey] = trainer.Step.ToString(CultureInfo.InvariantCulture) };
        SafetensorsWriter.Write(Path.Combine(folder, FileName), trainer.Save(), metadata);
    }

    /// <summary>Brings the trainer to where the checkpoint is. Does nothing where there is none.</summary>
    /// <exception cref="InvalidDataException">The file is damaged.</exception>
    public static void Restore(string folder, BridgeTrainer trainer)
    {
        string path = Path.Combine(folder, FileName);
        if (!File.Exists(path)) return;
        using SafetensorsFile file = SafetensorsFile.Open(path);
        if (!long.TryParse(file.Metadata.GetValueOrDefault(StepKey), CultureInfo.InvariantCulture, out long step))
            throw new InvalidDataException($"{path}: does not say its step.");
        trainer.Restore(step, name => file.Entries.ContainsKey(name) ? file.Read(name) : throw new InvalidDataException($"{path}: has no tensor '{name}'."));
    }

    /// <summary>Removes the checkpoint of a run that is done.</summary>
    public static void Delete(string folder) => File.Delete(Path.Combine(folder, FileName));
}
