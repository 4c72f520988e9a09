using System.Globalization;
using System.Text;
using Lab.Models.Checkpoints.Pickles;
using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.Models.Checkpoints;

/// <summary>
/// The tensors of a .pt file as torch.save writes it since PyTorch 1.6: a zip with, in one folder, data.pkl (the pickle of a
/// dictionary of tensors), data/ (the storages, by number), version, and byteorder since 2.1. Anything in the dictionary that is
/// not a tensor is passed over.
/// </summary>
internal sealed class PickleCheckpoint : ICheckpoint, IPickleStorages
{
    private const string PickleName = "/data.pkl";
    private const int MaxVersion = 10;
    private const int MaxTextBytes = 16;
    private const int MaxNameLength = 1024;

    private readonly TensorFile _file;
    private readonly Dictionary<string, ZipEntry> _entries;
    private readonly string _folder;
    private readonly Dictionary<string, PickleTensor> _pickled = new(StringComparer.Ordinal);
    private readonly Dictionary<string, CheckpointTensor> _tensors = new(StringComparer.Ordinal);

    private PickleCheckpoint(TensorFile file)
    {
        _file = file;
        _entries = ZipDirectory.Read(file);
        string[] pickles = [.. _entries.Keys.Where(name => name.EndsWith(PickleName, StringComparison.Ordinal) && name.IndexOf('/', StringComparison.Ordinal) == name.Length - PickleName.Length)];
        if (pickles is not [string pickle]) throw Failure($"has {pickles.Length} data.pkl, not one: it was not written by torch.save");
        _folder = pickle[..^PickleName.Length];
        CheckVersion();
        CheckByteOrder();
        AddTensors(Unpickler.Read(ReadPickle(_entries[pickle]), Path, this));
    }

    public string Path => _file.Path;

    public IReadOnlyDictionary<string, CheckpointTensor> Tensors => _tensors;

    public static PickleCheckpoint Open(string path, bool share)
    {
        TensorFile file = TensorFile.Open(path, share);
        try
        {
            return new PickleCheckpoint(file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    public Tensor Load(string name, ScalarType? type = null, Device? device = null) =>
        _pickled.TryGetValue(name, out PickleTensor? tensor)
            ? _file.Load(new StoredTensor(name, tensor.Type, tensor.Offset, tensor.Shape, tensor.Strides), type, device)
            : throw new KeyNotFoundException($"{Path} has no tensor '{name}'.");

    public void Dispose() => _file.Dispose();

    bool IPickleStorages.TryFind(string key, out long offset, out long byteCount)
    {
        bool isThere = _entries.TryGetValue($"{_folder}/data/{key}", out ZipEntry? entry);
        (offset, byteCount) = (entry?.Offset ?? 0, entry?.Length ?? 0);
        return isThere;
    }

    private void AddTensors(object? root)
    {
        if (root is not PickleDictionary dictionary) throw Failure("data.pkl is not a dictionary of tensors");
        foreach ((string name, object? value) in dictionary.Items ?? [])
        {
            if (value is not PickleTensor tensor) continue;
            if (name.Length > MaxNameLength) throw Failure($"data.pkl: the name of tensor '{name[..100]}...' has {name.Length} characters; at most {MaxNameLength} are allowed");
            _pickled.Add(name, tensor);
            _tensors.Add(name, new CheckpointTensor(name, tensor.Type, tensor.Shape, tensor.Count * tensor.Type.Bytes, Path, tensor.Offset));
        }

        if (_tensors.Count == 0) throw Failure("data.pkl is a dictionary without any tensor");
    }

    private byte[] ReadPickle(ZipEntry entry)
    {
        if (entry.Length > Unpickler.MaxBytes) throw Failure($"data.pkl has {entry.Length} bytes; at most {Unpickler.MaxBytes} are allowed");
        byte[] pickle = new byte[entry.Length];
        _file.ReadExactly(entry.Offset, pickle);
        return pickle;
    }

    private void CheckVersion()
    {
        string text = ReadText("version") ?? throw Failure("has no version: it was not written by torch.save");
        if (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int version) || version is < 1 or > MaxVersion)
            throw Failure($"version is not a number from 1 to {MaxVersion}");
    }

    private void CheckByteOrder()
    {
        // Files from before PyTorch 2.1 do not say it, and were little-endian wherever that ran.
        if (ReadText("byteorder") is { } order && order != "little") throw Failure("byteorder is not 'little': big-endian files are not read");
    }

    /// <summary>A short text of the file; null if there is none of that name.</summary>
    private string? ReadText(string name)
    {
        if (!_entries.TryGetValue($"{_folder}/{name}", out ZipEntry? entry)) return null;
        if (entry.Length > MaxTextBytes) throw Failure($"{name} has {entry.Length} bytes; at most {MaxTextBytes} are allowed");
        byte[] text = new byte[entry.Length];
        _file.ReadExactly(entry.Offset, text);
        return Encoding.ASCII.GetString(text).Trim();
    }

    private InvalidDataException Failure(string reason) => new($"{Path}: {reason}.");
}
