using System.Text.Json;

namespace Lab.Models.Checkpoints;

/// <summary>A model.safetensors.index.json: which file of its folder holds which tensor.</summary>
internal sealed class ShardIndex
{
    private const string WeightMap = "weight_map";
    private const int MaxBytes = 100_000_000;
    private const int MaxShards = 1024;
    private const int MaxNameLength = 255;

    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false };

    private readonly string _path;
    private readonly Dictionary<string, string> _shardOf;

    private ShardIndex(string path, Dictionary<string, string> shardOf)
    {
        _path = path;
        _shardOf = shardOf;
        Shards = [.. shardOf.Values.Distinct(StringComparer.Ordinal)];
        if (Shards.Count is 0 or > MaxShards) throw new InvalidDataException($"{path}: {WeightMap} names {Shards.Count} shards; 1 to {MaxShards} are allowed.");
    }

    /// <summary>The file names of the shards, each of which is a name without a folder.</summary>
    public IReadOnlyList<string> Shards { get; }

    public static ShardIndex Read(string path)
    {
        long length = new FileInfo(path).Length;
        if (length > MaxBytes) throw new InvalidDataException($"{path}: has {length} bytes; at most {MaxBytes} are allowed.");
        try
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(path), Strict);
            if (document.RootElement.ValueKind != JsonValueKind.Object || !document.RootElement.TryGetProperty(WeightMap, out JsonElement map) || map.ValueKind != JsonValueKind.Object)
                throw new InvalidDataException($"{path}: has no object {WeightMap}.");
            return new ShardIndex(path, map.EnumerateObject().ToDictionary(item => item.Name, item => ShardName(path, item)));
        }
        // Strings that are not valid UTF-8 or UTF-16 surface as InvalidOperationException.
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            throw new InvalidDataException($"{path}: is not valid JSON: {exception.Message}", exception);
        }
    }

    /// <summary>Proves that a shard holds the tensors that the index places there, and no others.</summary>
    public void Check(string shard, IEnumerable<string> names)
    {
        HashSet<string> present = [.. names];
        foreach ((string name, string holder) in _shardOf)
        {
            if (holder == shard && !present.Remove(name)) throw new InvalidDataException($"{_path}: tensor '{name}' is not in its shard '{shard}'.");
        }

        if (present.Order(StringComparer.Ordinal).FirstOrDefault() is { } extra)
            throw new InvalidDataException($"{_path}: tensor '{extra}' is in the shard '{shard}', where {WeightMap} does not place it.");
    }

    private static string ShardName(string path, JsonProperty item)
    {
        string? name = item.Value.ValueKind == JsonValueKind.String ? item.Value.GetString() : null;
        bool isPlain = name is { Length: > 0 and <= MaxNameLength } && name.AsSpan().IndexOfAny("/\\\0") < 0 && name.EndsWith(".safetensors", StringComparison.Ordinal);
        string tensor = item.Name.Length <= 100 ? item.Name : item.Name[..100] + "...";
        return isPlain ? name! : throw new InvalidDataException($"{path}: {WeightMap} of tensor '{tensor}' is not the name of a .safetensors file in the same folder.");
    }
}
