using Google.Protobuf;
using Lab.Artifacts;
using Lab.Models.Interventions.Messages;
using Lab.Protos.ModelHost.V1;
using Lab.ServiceDefaults.Errors;
using Lab.Tensors;
using TorchSharp;
using Case = Lab.Protos.ModelHost.V1.Intervention.OperationOneofCase;

namespace Lab.SparseTraining.Training.Interventions;

/// <summary>Reads tensors of the store, as FP32, after comparing the file with its digest. All together have at most 256 MiB.</summary>
internal sealed class StoredTensors(ArtifactStore store)
{
    private const string Extension = ".safetensors";

    private readonly Dictionary<string, string> _digests = new(StringComparer.Ordinal);
    private long _bytes;

    /// <summary>The digests of the artifacts that were read, by the field that named them.</summary>
    public IReadOnlyDictionary<string, string> Digests => _digests;

    /// <summary>Puts the tensors of an intervention that lie in the store inline.</summary>
    /// <param name="intervention">The intervention; changed.</param>
    /// <param name="field">Its path, for errors.</param>
    /// <param name="ct">Cancels the reading.</param>
    public async Task InlineAsync(Intervention intervention, string field, CancellationToken ct)
    {
        (TensorSource? source, string path) = intervention.OperationCase switch
        {
            Case.Set => (intervention.Set.Value, "set.value"),
            Case.Add => (intervention.Add.Value, "add.value"),
            Case.Mean => (intervention.Mean.Value, "mean.value"),
            Case.ProjectOut => (intervention.ProjectOut.Directions, "project_out.directions"),
            Case.ProjectOnto => (intervention.ProjectOnto.Directions, "project_onto.directions"),
            Case.SwapSubspace => (intervention.SwapSubspace.Directions, "swap_subspace.directions"),
            _ => (null, ""),
        };
        if (source?.Stored is not { } stored) return;
        IReadOnlyList<HostTensor> tensors = await ReadManyAsync(stored.Artifact, stored.File, stored.Key.Length > 0 ? [stored.Key] : [], $"{field}.{path}.stored", ct);
        if (tensors.Count != 1) throw new InvalidRequestException($"{field}.{path}.stored.key", $"There are {tensors.Count} tensors: name one.");
        source.Inline = new Protos.Tensor.V1.Tensor
        {
            DataType = Protos.Tensor.V1.DataType.Fp32,
            Shape = { tensors[0].Shape },
            Data = UnsafeByteOperations.UnsafeWrap(tensors[0].Data),
        };
    }

    /// <summary>Reads tensors of one file.</summary>
    /// <param name="artifact">The artifact's name or digest.</param>
    /// <param name="path">The file within it; empty for its only safetensors file.</param>
    /// <param name="keys">The tensors; empty for all.</param>
    /// <param name="field">The path of the fields "artifact", "file" and "keys", for errors.</param>
    /// <param name="ct">Cancels the reading.</param>
    public async Task<IReadOnlyList<HostTensor>> ReadManyAsync(string artifact, string path, IReadOnlyList<string> keys, string field, CancellationToken ct)
    {
        StoredArtifact stored = await FindAsync(artifact, $"{field}.artifact", ct);
        string[] files = [.. stored.Files.Select(file => file.Path).Where(name => path.Length > 0 ? name == path : name.EndsWith(Extension, StringComparison.Ordinal)).Take(2)];
        if (files.Length != 1 && path.Length == 0) throw new InvalidRequestException($"{field}.file", $"{artifact} has {(files.Length == 0 ? "no" : "several")} {Extension} files: name one.");
        if (files.Length != 1) throw Missing("File", path, $"{field}.file");
        await store.VerifyAsync(stored, files[0], ct);
        _digests[field] = stored.Digest;
        using SafetensorsFile file = SafetensorsFile.Open(store.GetPath(stored, files[0]), share: false);
        IEnumerable<string> wanted = keys.Count > 0 ? keys : file.Entries.Keys.Order(StringComparer.Ordinal);
        return [.. wanted.Select(key => Read(file, key, $"{field}.keys"))];
    }

    private static NotFoundException Missing(string what, string name, string field) => new(what, name)
    {
        Metadata = new Dictionary<string, string> { ["resource_type"] = what, ["resource_name"] = name, ["field"] = field },
    };

    private HostTensor Read(SafetensorsFile file, string key, string field)
    {
        if (!file.Entries.TryGetValue(key, out SafetensorsEntry? entry)) throw Missing("Tensor", key, field);
        if (entry.DataType is not (TensorDataType.Float32 or TensorDataType.Float16 or TensorDataType.BFloat16 or TensorDataType.Float64))
            throw new InvalidRequestException(field, $"The tensor '{key}' is of type {entry.StoredType}, not of floats.");
        Int128 bytes = entry.Shape.Aggregate((Int128)sizeof(float), (product, size) => product * size);
        if (_bytes + bytes > InterventionMessages.MaxTensorBytes)
            throw new ResourceExhaustedException("STORED_TENSORS_TOO_LARGE", $"The stored tensors have more than {InterventionMessages.MaxTensorBytes} bytes together.");
        _bytes += (long)bytes;
        using DisposeScope scope = torch.NewDisposeScope();
        return file.Load(key, torch.ScalarType.Float32).ToHost(key);
    }

    private async Task<StoredArtifact> FindAsync(string nameOrDigest, string field, CancellationToken ct)
    {
        try
        {
            return await store.FindAsync(nameOrDigest, ct) ?? throw Missing("Artifact", nameOrDigest, field);
        }
        catch (ArgumentException e)
        {
            throw new InvalidRequestException(field, e.Message);
        }
    }
}
