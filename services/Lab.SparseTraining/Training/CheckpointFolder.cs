using System.Globalization;
using System.Text.Json;
using Google.Protobuf;
using Lab.Tensors;

namespace Lab.SparseTraining.Training;

/// <summary>The checkpoints of one run, "checkpoint-{step}.safetensors" in its folder, of which the newest ones are kept.</summary>
/// <param name="folder">The run's folder.</param>
/// <param name="kept">How many are kept.</param>
/// <param name="create">Creates a file that must not exist; a seam.</param>
internal sealed class CheckpointFolder(string folder, int kept, Func<string, Stream>? create = null)
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

    /// <summary>Writes a checkpoint of a training, on its thread; it counts once it is committed.</summary>
    /// <inheritdoc cref="TrainingCheckpoint.Begin"/>
    public PendingFile Begin(SparseTrainer trainer, TrainingCurve curve) => TrainingCheckpoint.Begin(PathOf(folder, trainer.StepsTaken), trainer, curve, create);

    /// <summary>Waits until a checkpoint is on the disk, then deletes those that are too old; on any thread. After a failure the older ones are all there.</summary>
    /// <exception cref="IOException">The disk fails.</exception>
    public void Commit(PendingFile checkpoint)
    {
        using (checkpoint) checkpoint.Commit();
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
