using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Google.Protobuf;
using Lab.Tensors;
using static TorchSharp.torch;
using Proto = Lab.Protos.SparseTraining.V1;

namespace Lab.SparseTraining.Training;

/// <summary>
/// Everything that a training needs to continue bit for bit: parameters, both moments, the step and the curve, in one
/// safetensors file with a SHA-256 over all of it. Batches are functions of the step, so no generator has state.
/// </summary>
internal static class TrainingCheckpoint
{
    private const string DigestKey = "sha256";

    private static readonly JsonFormatter Formatter = new(JsonFormatter.Settings.Default);

    /// <summary>
    /// Writes the state of a training as it is now, on the training's thread. Nothing is copied: with weights, gradients and moments there may be
    /// no room. The bytes are with the system on return, and the training may go on while the file is committed.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <param name="trainer">The training.</param>
    /// <param name="curve">Its curve.</param>
    /// <param name="create">Creates a file that must not exist; a seam.</param>
    /// <returns>To commit and to dispose.</returns>
    /// <exception cref="IOException">The disk is full, for instance.</exception>
    public static PendingFile Begin(string path, SparseTrainer trainer, TrainingCurve curve, Func<string, Stream>? create = null)
    {
        SortedDictionary<string, string> metadata = new(StringComparer.Ordinal)
        {
            ["step"] = trainer.StepsTaken.ToString(CultureInfo.InvariantCulture),
            ["curve"] = JsonSerializer.Serialize(curve.Points.Select(item => Formatter.Format(item))),
            ["evaluations"] = JsonSerializer.Serialize(curve.Evaluations.Select(item => Formatter.Format(item))),
            ["pending_sum"] = curve.Tail.Sum.ToString("R", CultureInfo.InvariantCulture),
            ["pending_count"] = curve.Tail.Count.ToString(CultureInfo.InvariantCulture),
            ["gradient_rms"] = curve.Tail.GradientRms.ToString("R", CultureInfo.InvariantCulture),
        };
        metadata[DigestKey] = Digest(trainer, metadata);
        return SafetensorsWriter.Begin(path, Tensors(trainer), metadata, create);
    }

    /// <summary>Restores the trainer and the curve. Where it throws, the trainer is not to be used.</summary>
    /// <exception cref="InvalidDataException">The checkpoint is corrupt or belongs to another model.</exception>
    public static void Restore(string path, SparseTrainer trainer, TrainingCurve curve)
    {
        using SafetensorsFile file = SafetensorsFile.Open(path, share: false);
        using (no_grad())
            foreach ((string name, Tensor target) in Tensors(trainer)) Restore(name, target);
        if (Metadata(DigestKey) != Digest(trainer, file.Metadata)) throw new InvalidDataException($"{path} is corrupt: its bytes do not have the recorded SHA-256.");
        curve.Restore(
            JsonSerializer.Deserialize<string[]>(Metadata("curve"))!.Select(Proto.TrainingPoint.Parser.ParseJson),
            JsonSerializer.Deserialize<string[]>(Metadata("evaluations"))!.Select(Proto.TrainingEvaluation.Parser.ParseJson),
            new CurveTail(
                double.Parse(Metadata("pending_sum"), CultureInfo.InvariantCulture),
                int.Parse(Metadata("pending_count"), CultureInfo.InvariantCulture),
                double.Parse(Metadata("gradient_rms"), CultureInfo.InvariantCulture)));
        trainer.ContinueFrom(long.Parse(Metadata("step"), CultureInfo.InvariantCulture));

        void Restore(string name, Tensor target)
        {
            if (!file.Entries.TryGetValue(name, out SafetensorsEntry? entry)) throw new InvalidDataException($"{path} has no tensor {name}.");
            if (!entry.Shape.SequenceEqual(target.shape)) throw new InvalidDataException($"{path}: {name} has another shape than the model's.");
            using Tensor stored = file.Load(name);
            target.copy_(stored);
        }

        string Metadata(string key) => file.Metadata.GetValueOrDefault(key) ?? throw new InvalidDataException($"{path} has no metadata {key}.");
    }

    private static IEnumerable<(string Name, Tensor Tensor)> Tensors(SparseTrainer trainer) => trainer.Optimizer.State.SelectMany(entry => new[]
    {
        ($"parameter/{entry.Name}", entry.Parameter),
        ($"first_moment/{entry.Name}", entry.FirstMoment),
        ($"second_moment/{entry.Name}", entry.SecondMoment),
    });

    private static string Digest(SparseTrainer trainer, IEnumerable<KeyValuePair<string, string>> metadata)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach ((_, Tensor tensor) in Tensors(trainer)) tensor.ReadBytes(hash.AppendData);
        foreach ((string key, string value) in metadata.Where(item => item.Key != DigestKey).OrderBy(item => item.Key, StringComparer.Ordinal))
        {
            hash.AppendData(Encoding.UTF8.GetBytes($"{key.Length}:{key}{value.Length}:{value}"));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
