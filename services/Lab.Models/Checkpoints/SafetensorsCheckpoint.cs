using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.Models.Checkpoints;

/// <summary>The tensors of one or several safetensors files.</summary>
internal sealed class SafetensorsCheckpoint : ICheckpoint
{
    private readonly IReadOnlyCollection<SafetensorsFile> _files;
    private readonly Dictionary<string, SafetensorsFile> _fileOf = [];
    private readonly Dictionary<string, CheckpointTensor> _tensors = [];

    private SafetensorsCheckpoint(string path, IReadOnlyCollection<SafetensorsFile> files)
    {
        Path = path;
        _files = files;
        foreach (SafetensorsFile file in files)
        {
            foreach (SafetensorsEntry entry in file.Entries.Values)
            {
                _fileOf.Add(entry.Name, file);
                _tensors.Add(entry.Name, new CheckpointTensor(entry.Name, entry.StoredType, entry.Shape, entry.ByteCount, file.Path, entry.Offset));
            }
        }
    }

    public string Path { get; }

    public IReadOnlyDictionary<string, CheckpointTensor> Tensors => _tensors;

    public static SafetensorsCheckpoint OpenFile(string path, bool share) => new(path, [SafetensorsFile.Open(path, share)]);

    public static SafetensorsCheckpoint OpenIndex(string path, bool share)
    {
        ShardIndex index = ShardIndex.Read(path);
        Dictionary<string, SafetensorsFile> shards = new(StringComparer.Ordinal);
        try
        {
            foreach (string shard in index.Shards) shards.Add(shard, OpenShard(path, shard, share));
            foreach ((string shard, SafetensorsFile file) in shards) index.Check(shard, file.Entries.Keys);
            return new SafetensorsCheckpoint(path, shards.Values);
        }
        catch
        {
            foreach (SafetensorsFile file in shards.Values) file.Dispose();
            throw;
        }
    }

    public Tensor Load(string name, ScalarType? type = null, Device? device = null) =>
        _fileOf.TryGetValue(name, out SafetensorsFile? file)
            ? file.Load(name, type, device)
            : throw new KeyNotFoundException($"{Path} has no tensor '{name}'.");

    public void Dispose()
    {
        foreach (SafetensorsFile file in _files) file.Dispose();
    }

    private static SafetensorsFile OpenShard(string index, string shard, bool share)
    {
        string file = System.IO.Path.Combine(System.IO.Path.GetDirectoryName(index)!, shard);
        return File.Exists(file) ? SafetensorsFile.Open(file, share) : throw new InvalidDataException($"{index}: the shard '{shard}' is not there.");
    }
}
