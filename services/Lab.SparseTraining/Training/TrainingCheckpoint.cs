using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using Google.Protobuf;
using Lab.Tensors;
using static TorchSharp.torch;
using Proto = Lab.Protos.SparseTraining.V1;

namespace Lab.SparseTraining.Training;

/// <summary>
/// Everything that a training needs to continue bit for bit: parameters, both moments, the step and the curve, in one
/// safetensors file with a SHA-256 over its tensors. Batches are functions of the step, so no generator has state.
/// </summary>
internal static class TrainingCheckpoint
{
    private const string FileName = "checkpoint.safetensors";

    public static void Save(string folder, SparseTrainer trainer, TrainingCurve curve)
    {
        List<HostTensor> tensors = [];
        foreach ((string name, Tensor parameter, Tensor first, Tensor second) in trainer.Optimizer.State)
        {
            tensors.Add(parameter.detach().ToHost($"parameter/{name}"));
            tensors.Add(first.ToHost($"first_moment/{name}"));
            tensors.Add(second.ToHost($"second_moment/{name}"));
        }

        JsonFormatter formatter = new(JsonFormatter.Settings.Default);
        SafetensorsWriter.Write(Path.Combine(folder, FileName), tensors, new Dictionary<string, string>
        {
            ["step"] = trainer.StepsTaken.ToString(CultureInfo.InvariantCulture),
            ["curve"] = JsonSerializer.Serialize(curve.Points.Select(point => formatter.Format(point))),
            ["pending_sum"] = curve.Pending.Sum.ToString("R", CultureInfo.InvariantCulture),
            ["pending_count"] = curve.Pending.Count.ToString(CultureInfo.InvariantCulture),
            ["sha256"] = Digest(tensors),
        });
    }

    /// <summary>Restores the trainer and the curve; does nothing where there is no checkpoint.</summary>
    /// <exception cref="InvalidDataException">The checkpoint is corrupt or belongs to another model.</exception>
    public static void TryRestore(string folder, SparseTrainer trainer, TrainingCurve curve)
    {
        string path = Path.Combine(folder, FileName);
        if (!File.Exists(path)) return;
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

        if (Metadata("sha256") != Digest(tensors)) throw new InvalidDataException($"{path} is corrupt: its tensors do not have the recorded SHA-256.");
        curve.Restore(
            JsonSerializer.Deserialize<string[]>(Metadata("curve"))!.Select(Proto.TrainingPoint.Parser.ParseJson),
            double.Parse(Metadata("pending_sum"), CultureInfo.InvariantCulture),
            int.Parse(Metadata("pending_count"), CultureInfo.InvariantCulture));
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

    private static string Digest(List<HostTensor> tensors)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (HostTensor tensor in tensors) hash.AppendData(tensor.Data.Span);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
