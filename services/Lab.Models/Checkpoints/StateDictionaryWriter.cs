using System.Globalization;
using Lab.Models.Checkpoints.Pickles;
using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.Models.Checkpoints;

/// <summary>
/// Writes .pt files byte for byte as torch.save writes a module's state dictionary (the zip of PyTorch 1.6 and later). Tensors are
/// streamed one by one.
/// </summary>
public static class StateDictionaryWriter
{
    /// <summary>Writes a file atomically. Equal tensors under an equal file name give equal bytes.</summary>
    /// <param name="path">The file to write; an existing one is replaced. Its name without extension names the zip's folder.</param>
    /// <param name="tensors">The tensors in order; their names are the keys. One tensor under two names is stored once: they are tied.</param>
    /// <param name="modules">The paths of the modules whose state it is, in order, the root ("") first.</param>
    /// <exception cref="ArgumentException">Two tensors have one name.</exception>
    /// <exception cref="IOException">The file cannot be written; nothing is left behind.</exception>
    public static void Write(string path, IReadOnlyList<NamedParameter> tensors, IReadOnlyList<string> modules) =>
        Write(path, tensors, modules, stream => new StoredZipWriter(stream));

    /// <summary>As the other, into a zip of one's own.</summary>
    internal static void Write(string path, IReadOnlyList<NamedParameter> tensors, IReadOnlyList<string> modules, Func<Stream, StoredZipWriter> newZip)
    {
        if (tensors.Select(tensor => tensor.Name).GroupBy(name => name, StringComparer.Ordinal).FirstOrDefault(group => group.Count() > 1) is { } twice)
            throw new ArgumentException($"The tensor name '{twice.Key}' is taken.", nameof(tensors));
        Dictionary<Tensor, string> storages = new(ReferenceEqualityComparer.Instance);
        List<StoredState> states = [];
        foreach (NamedParameter tensor in tensors)
        {
            if (!storages.TryGetValue(tensor.Value, out string? storage)) storages.Add(tensor.Value, storage = storages.Count.ToString(CultureInfo.InvariantCulture));
            states.Add(new StoredState(tensor.Name, StoredDataType.Of(tensor.Value.dtype), tensor.Value.shape, storage));
        }

        byte[] pickle = StateDictionaryPickle.Write(states, modules);
        string folder = Path.GetFileNameWithoutExtension(path);
        WholeFile.Write(path, stream =>
        {
            StoredZipWriter zip = newZip(stream);
            Add(zip, $"{folder}/data.pkl", pickle);
            // Storages are in the order of their keys as texts: 0, 1, 10, 11, 2.
            foreach ((Tensor tensor, string key) in storages.OrderBy(storage => storage.Value, StringComparer.Ordinal))
            {
                zip.Begin($"{folder}/data/{key}", tensor.numel() * tensor.element_size());
                tensor.ReadBytes(zip.Write);
                zip.End();
            }

            Add(zip, $"{folder}/version", "3\n"u8);
            zip.Complete();
        });
    }

    private static void Add(StoredZipWriter zip, string name, ReadOnlySpan<byte> bytes)
    {
        zip.Begin(name, bytes.Length);
        zip.Write(bytes);
        zip.End();
    }
}
