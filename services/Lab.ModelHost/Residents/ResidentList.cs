using System.Text.Json;
using System.Text.Json.Serialization;
using Lab.ServiceDefaults;

namespace Lab.ModelHost.Residents;

/// <summary>The names of the models that are to be resident, kept on disk for the next start.</summary>
internal sealed class ResidentList(string path)
{
    private static readonly JsonSerializerOptions Json = new() { WriteIndented = true };

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

    /// <summary>A model by the name that it is resident under, and the digest that the name stood for.</summary>
    internal sealed record Entry([property: JsonPropertyName("name")] string Name, [property: JsonPropertyName("digest")] string Digest);
}
