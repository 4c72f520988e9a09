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
/// <param name="Step">Steps taken.</param>
/// <param name="Tensors">Parameters and moments in host memory, 12 bytes a parameter.</param>
/// <param name="Points">The curve.</param>
/// <param name="Evaluations">The history of evaluations.</param>
/// <param name="Tail">What the curve knows beyond its last point.</param>
internal sealed record TrainingCheckpoint(
    long Step,
    IReadOnlyList<HostTensor> Tensors,
    IReadOnlyList<Proto.TrainingPoint> Points,
    IReadOnlyList<Proto.TrainingEvaluation> Evaluations,
    CurveTail Tail)
{
    private const string DigestKey = "sha256";

    private static readonly JsonFormatter Formatter = new(JsonFormatter.Settings.Default);

    /// <summary>Copies the state of a training as it is now, on the training's thread; it may go on while the copy is stored.</summary>
    public static TrainingCheckpoint Capture(SparseTrainer trainer, TrainingCurve curve)
    {
        using var scope = NewDisposeScope();
        List<HostTensor> tensors = [];
        foreach ((string name, Tensor parameter, Tensor first, Tensor second) in trainer.Optimizer.State)
        {
            tensors.Add(parameter.detach().ToHost($"parameter/{name}"));
            tensors.Add(first.ToHost($"first_moment/{name}"));
            tensors.Add(second.ToHost($"second_moment/{name}"));
        }

        return new TrainingCheckpoint(trainer.StepsTaken, tensors, [.. curve.Points], [.. curve.Evaluations], curve.Tail);
    }

    /// <summary>Writes the checkpoint atomically, on any thread.</summary>
    /// <param name="path">The file.</param>
    /// <param name="write">Writes the file; a seam.</param>
    public void Save(string path, CheckpointWriter? write = null)
    {
        SortedDictionary<string, string> metadata = new(StringComparer.Ordinal)
        {
            ["step"] = Step.ToString(CultureInfo.InvariantCulture),
            ["curve"] = JsonSerializer.Serialize(Points.Select(item => Formatter.Format(item))),
            ["evaluations"] = JsonSerializer.Serialize(Evaluations.Select(item => Formatter.Format(item))),
            ["pending_sum"] = Tail.Sum.ToString("R", CultureInfo.InvariantCulture),
            ["pending_count"] = Tail.Count.ToString(CultureInfo.InvariantCulture),
            ["gradient_rms"] = Tail.GradientRms.ToString("R", CultureInfo.InvariantCulture),
        };
        metadata[DigestKey] = Digest(Tensors, metadata);
        (write ?? SafetensorsWriter.Write)(path, Tensors, metadata);
    }

    /// <summary>Restores the trainer and the curve. Where it throws, the trainer is not to be used.</summary>
    /// <exception cref="InvalidDataException">The checkpoint is corrupt or belongs to another model.</exception>
    public static void Restore(string path, SparseTrainer trainer, TrainingCurve curve)
    {
        using SafetensorsFile file = SafetensorsFile.Open(path);
        List<HostTensor> tensors = [];
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        foreach ((string name, Tensor parameter, Tensor first, Tensor second) in trainer.Optimizer.State)
        {
            Restore($"parameter/{name}", parameter);
            Restore($"first_moment/{name}", first);
            Restore($"second_moment/{name}", second);
        }

        if (Metadata(DigestKey) != Digest(tensors, file.Metadata)) throw new InvalidDataException($"{path} is corrupt: its bytes do not have the recorded SHA-256.");
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
            if (!file.Entries.ContainsKey(name)) throw new InvalidDataException($"{path} has no tensor {name}.");
            HostTensor stored = file.Read(name);
            if (!stored.Shape.SequenceEqual(target.shape)) throw new InvalidDataException($"{path}: {name} has another shape than the model's.");
            tensors.Add(stored);
            target.copy_(stored.ToTorch());
        }

        string Metadata(string key) => file.Metadata.GetValueOrDefault(key) ?? throw new InvalidDataException($"{path} has no metadata {key}.");
    }

    private static string Digest(IReadOnlyList<HostTensor> tensors, IEnumerable<KeyValuePair<string, string>> metadata)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (HostTensor tensor in tensors) hash.AppendData(tensor.Data.Span);
        foreach ((string key, string value) in metadata.Where(item => item.Key != DigestKey).OrderBy(item => item.Key, StringComparer.Ordinal))
        {
            hash.AppendData(Encoding.UTF8.GetBytes($"{key.Length}:{key}{value.Length}:{value}"));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
