using System.Globalization;
using System.Text.Json;
using Google.Protobuf;

namespace Lab.SparseTraining.Training;

/// <summary>The checkpoints of one run, "checkpoint-{step}.safetensors" in its folder, of which the newest ones are kept.</summary>
/// <param name="folder">The run's folder.</param>
/// <param name="kept">How many are kept.</param>
/// <param name="write">Writes a file; by default as <see cref="Lab.Tensors.SafetensorsWriter"/> does. A seam.</param>
internal sealed class CheckpointFolder(string folder, int kept, CheckpointWriter? write = null)
{
    private const string Prefix = "checkpoint-";
    private const string Extension = ".safetensors";

    /// <summary>The steps of a folder's checkpoints, in order.</summary>
    public static IReadOnlyList<long> StepsIn(string folder) =>
        [.. Directory.EnumerateFiles(folder, Prefix + "*" + Extension)
            .Select(path => Path.GetFileName(path)[Prefix.Length..^Extension.Length])
            .Where(step => long.TryParse(step, NumberStyles.None, CultureInfo.InvariantCulture, out _))
            .Select(step => long.Parse(step, CultureInfo.InvariantCulture))
            .Order()];

    /// <summary>Where the checkpoint of a step lies; names sort as steps do.</summary>
    public static string PathOf(string folder, long step) => Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"{Prefix}{step:D12}{Extension}"));

    /// <summary>The checkpoints, oldest first.</summary>
    public IEnumerable<(long Step, long Bytes)> All => StepsIn(folder).Select(step => (step, new FileInfo(PathOf(folder, step)).Length));

    /// <summary>Stores a checkpoint, then deletes those that are too old. After a failure the older ones are all there.</summary>
    /// <exception cref="IOException">The disk is full, for instance.</exception>
    public void Save(TrainingCheckpoint checkpoint)
    {
        checkpoint.Save(PathOf(folder, checkpoint.Step), write);
        foreach (long step in StepsIn(folder).SkipLast(kept)) File.Delete(PathOf(folder, step));
    }

    /// <summary>Restores the newest checkpoint; whether there is one.</summary>
    /// <exception cref="InvalidDataException">It cannot be read, is corrupt or belongs to another model. Says what can be done.</exception>
    public bool RestoreNewest(SparseTrainer trainer, TrainingCurve curve)
    {
        if (StepsIn(folder) is not [.., long newest]) return false;
        string path = PathOf(folder, newest);
        try
        {
            TrainingCheckpoint.Restore(path, trainer, curve);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException or InvalidProtocolBufferException or FormatException or InvalidDataException)
        {
            string reason = e.Message.Contains(path, StringComparison.Ordinal) ? e.Message : $"{path} cannot be read: {e.Message}";
            throw new InvalidDataException(
                $"{reason} Put back a good copy, or delete it to go on from the checkpoint before it (or from the beginning), then resume the run.", e);
        }
    }
}
