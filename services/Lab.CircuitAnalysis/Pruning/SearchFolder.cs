using System.Text.Json;

namespace Lab.CircuitAnalysis.Pruning;

/// <summary>The finished searches of a run, kept over restarts: one file each with its mask logits.</summary>
internal sealed class SearchFolder(string folder)
{
    /// <summary>The logits of a finished search, exactly as they were, or null if it has not finished.</summary>
    /// <exception cref="InvalidDataException">The file is not that of a search over so many nodes.</exception>
    public float[]? Find(int search, int nodes)
    {
        string path = PathOf(search);
        if (!File.Exists(path)) return null;
        try
        {
            float[]? logits = JsonSerializer.Deserialize<float[]>(File.ReadAllBytes(path));
            return logits?.Length == nodes ? logits : throw new InvalidDataException($"{path} does not hold {nodes} mask logits.");
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"{path} is damaged: {e.Message}", e);
        }
    }

    /// <summary>Stores a finished search; a crash leaves the whole file or none.</summary>
    public float[] Save(int search, float[] logits)
    {
        Directory.CreateDirectory(folder);
        string path = PathOf(search), temporary = path + ".tmp";
        using (FileStream stream = new(temporary, FileMode.Create, FileAccess.Write))
        {
            JsonSerializer.Serialize(stream, logits);
            stream.Flush(flushToDisk: true);
        }

        File.Move(temporary, path, overwrite: true);
        return logits;
    }

    private string PathOf(int search) => Path.Combine(folder, $"search-{search}.json");
}
