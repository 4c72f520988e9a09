using System.Collections;
using System.Collections.Concurrent;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Lab.Artifacts;
using Lab.ModelHost.Passes;
using Lab.Models.Interventions.Messages;
using Lab.Protos.ModelHost.V1;
using Lab.ServiceDefaults.Errors;
using Lab.Tensors;
using TorchSharp;
using StoredTensor = Lab.Protos.ModelHost.V1.StoredTensor;

namespace Lab.ModelHost.Sources;

/// <summary>Tensors of requests that lie in the store: wherever a message has such a source, the tensor itself takes its place.</summary>
internal sealed class TensorSources(ArtifactStore store, IntactFiles intact, RunLimits limits)
{
    /// <summary>The most bytes that all stored tensors of a request may have together, as FP32: 256 MiB.</summary>
    public const int MaxStoredBytes = InterventionMessages.MaxTensorBytes;

    private const string Extension = ".safetensors";
    private static readonly ConcurrentDictionary<string, bool> HasSources = new(StringComparer.Ordinal);

    /// <summary>Reads every stored tensor of a request, and puts it in the place of its source: inline, as FP32.</summary>
    /// <param name="request">The request; changed.</param>
    /// <param name="ct">Cancels the call.</param>
    /// <returns>Gives back the memory of the tensors that were read, when the request is done with.</returns>
    /// <exception cref="NotFoundException">There is no such artifact, file or tensor; metadata names the field.</exception>
    /// <exception cref="InvalidRequestException">An artifact has several files or tensors and none is named, a tensor is not of floats, or an inline tensor is too large.</exception>
    /// <exception cref="ResourceExhaustedException">Together they are larger than <see cref="MaxStoredBytes"/>, or too much memory is held by others.</exception>
    /// <exception cref="InvalidDataException">A file is corrupt, or no longer that of its digest; names the artifact.</exception>
    public async Task<IDisposable> InlineAsync(IMessage request, CancellationToken ct)
    {
        HeldMemory held = new();
        try
        {
            foreach ((TensorSource source, string field) in Sources(request, "").ToList()) await InlineAsync(source, field, held, ct);
            return held;
        }
        catch
        {
            held.Dispose();
            throw;
        }
    }

    private async Task InlineAsync(TensorSource source, string field, HeldMemory held, CancellationToken ct)
    {
        if (source.Stored is { } stored)
        {
            HostTensor tensor = await ReadAsync(stored, $"{field}.stored", held, ct);
            source.Inline = new Protos.Tensor.V1.Tensor
            {
                DataType = Protos.Tensor.V1.DataType.Fp32,
                Shape = { tensor.Shape },
                Data = UnsafeByteOperations.UnsafeWrap(tensor.Data),
            };
        }
        else if (source.Inline?.Data.Length > TensorMessages.MaxDataBytes)
        {
            throw new InvalidRequestException(
                $"{field}.inline.data", $"{source.Inline.Data.Length} bytes are too many for one message: at most {TensorMessages.MaxDataBytes} are allowed. Store the tensor.");
        }
    }

    private async Task<HostTensor> ReadAsync(StoredTensor stored, string field, HeldMemory held, CancellationToken ct)
    {
        StoredArtifact artifact = await store.RequireAsync(stored.Artifact, kind: null, $"{field}.artifact", ct);
        string path = stored.File.Length > 0 ? stored.File
            : Only(artifact.Files.Select(file => file.Path).Where(name => name.EndsWith(Extension, StringComparison.Ordinal)), $"{Extension} files of {stored.Artifact}", $"{field}.file");
        if (artifact.Files.All(file => file.Path != path)) throw ArtifactLookup.Missing("File", path, $"{field}.file");
        await intact.RequireAsync(artifact, path, ct);
        using SafetensorsFile file = SafetensorsFile.Open(store.GetPath(artifact, path), share: false);
        string key = stored.Key.Length > 0 ? stored.Key : Only(file.Entries.Keys, $"tensors of {path}", $"{field}.key");
        if (!file.Entries.TryGetValue(key, out SafetensorsEntry? entry)) throw ArtifactLookup.Missing("Tensor", key, $"{field}.key");
        if (entry.DataType is not (TensorDataType.Float32 or TensorDataType.Float16 or TensorDataType.BFloat16 or TensorDataType.Float64))
        {
            throw new InvalidRequestException($"{field}.key", $"The tensor '{key}' is of type {entry.StoredType}, not of floats.");
        }

        Int128 bytes = entry.Shape.Aggregate((Int128)sizeof(float), (product, size) => product * size);
        if (held.Bytes + bytes > MaxStoredBytes)
        {
            throw new ResourceExhaustedException("STORED_TENSORS_TOO_LARGE", $"The request's stored tensors have more than {MaxStoredBytes} bytes together.");
        }

        held.Add((long)bytes, limits.Hold((long)bytes));
        using DisposeScope scope = torch.NewDisposeScope();
        return file.Load(key, torch.ScalarType.Float32).ToHost(key);
    }

    private static string Only(IEnumerable<string> names, string what, string field)
    {
        string[] all = [.. names.Take(2)];
        return all.Length == 1 ? all[0] : throw new InvalidRequestException(field, $"There are {(all.Length == 0 ? "no" : "several")} {what}: name one.");
    }

    /// <summary>Every source within a message, with its path.</summary>
    private static IEnumerable<(TensorSource Source, string Field)> Sources(IMessage message, string prefix)
    {
        foreach (FieldDescriptor field in message.Descriptor.Fields.InDeclarationOrder())
        {
            if (field.FieldType != FieldType.Message || field.IsMap || !MayHaveSources(field.MessageType)) continue;
            object? value = field.Accessor.GetValue(message);
            IEnumerable<(IMessage Message, string Field)> children = field.IsRepeated
                ? ((IEnumerable)value).Cast<IMessage>().Select((child, i) => (child, $"{prefix}{field.Name}[{i}]"))
                : value is IMessage one ? [(one, prefix + field.Name)] : [];
            foreach ((IMessage child, string path) in children)
            {
                if (child is TensorSource source) yield return (source, path);
                else foreach ((TensorSource Source, string Field) inner in Sources(child, path + ".")) yield return inner;
            }
        }
    }

    /// <summary>Whether there can be sources in messages of a type: the others, such as rows of tokens, are not walked through.</summary>
    private static bool MayHaveSources(MessageDescriptor type) =>
        HasSources.GetOrAdd(type.FullName, _ => Reaches(type, []));

    private static bool Reaches(MessageDescriptor type, HashSet<MessageDescriptor> seen) =>
        type.FullName == TensorSource.Descriptor.FullName
        || (seen.Add(type) && type.Fields.InDeclarationOrder().Any(field => field.FieldType == FieldType.Message && Reaches(field.MessageType, seen)));

    /// <summary>The memory of a request's stored tensors.</summary>
    private sealed class HeldMemory : IDisposable
    {
        private readonly List<IDisposable> _parts = [];

        public long Bytes { get; private set; }

        public void Add(long bytes, IDisposable part)
        {
            Bytes += bytes;
            _parts.Add(part);
        }

        public void Dispose() => _parts.ForEach(part => part.Dispose());
    }
}
