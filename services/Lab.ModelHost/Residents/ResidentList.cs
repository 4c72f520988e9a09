using System.Text.Json;
using System.Text.Json.Serialization;
using Lab.ServiceDefaults;
using Lab.Tensors;

namespace Lab.ModelHost.Residents;

/// <summary>The names of the models that are to be resident, kept on disk for the next start.</summary>
internal sealed class ResidentList(string path)
{
    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingDefault,
        Converters = { new JsonStringEnumConverter<TensorDataType>() },
    };

    private readonly AtomicFile _file = new();

    /// <summary>Reads the list; empty if there is none yet.</summary>
    /// <exception cref="InvalidDataException">The file is malformed.</exception>
    public IReadOnlyList<Entry> Read()
    {
        if (!File.Exists(path)) return [];
        try
        {
            return JsonSerializer.Deserialize<List<Entry>>(File.ReadAllBytes(path), Json) ?? [];
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"The list of resident models, {path}, is malformed: {e.Message} Delete it to start without models.", e);
        }
    }

    /// <summary>Replaces the list: a crash leaves the old one or the new one.</summary>
    public void Write(IEnumerable<Entry> entries)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        _file.Write(path, JsonSerializer.SerializeToUtf8Bytes(entries, Json));
    }

    /// <summary>A model that was resident.</summary>
    /// <param name="Name">The name it was resident under.</param>
    /// <param name="Digest">The artifact's digest; null for a folder.</param>
    /// <param name="Folder">The folder; null for an artifact.</param>
    /// <param name="Type">The type that was asked for; null if none was.</param>
    /// <param name="IsPinned">Whether it was pinned.</param>
    internal sealed record Entry(
        [property: JsonPropertyName("name")] string Name,
        [property: JsonPropertyName("digest")] string? Digest,
        [property: JsonPropertyName("folder")] string? Folder = null,
        [property: JsonPropertyName("data_type")] TensorDataType? Type = null,
        [property: JsonPropertyName("pinned")] bool IsPinned = false);
}
