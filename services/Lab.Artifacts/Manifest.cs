using System.Text.Json;

namespace Lab.Artifacts;

/// <summary>An artifact's JSON record on disk.</summary>
internal sealed record Manifest(
    string Digest,
    string Kind,
    DateTimeOffset CreateTime,
    IReadOnlyList<StoredFile> Files,
    ArtifactProvenance Provenance)
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
    };

    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, Json);

    /// <summary>Reads a manifest; null if there is none.</summary>
    /// <exception cref="InvalidDataException">It is not a manifest, or not the one of its digest.</exception>
    public static async Task<Manifest?> ReadAsync(string path, CancellationToken ct)
    {
        byte[] bytes;
        try
        {
            bytes = await File.ReadAllBytesAsync(path, ct);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }

        Manifest? manifest;
        try
        {
            manifest = JsonSerializer.Deserialize<Manifest>(bytes, Json);
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"The manifest {path} is not valid: {e.Message}", e);
        }

        string expected = Digests.FromHex(Path.GetFileNameWithoutExtension(path));
        if (manifest is null || manifest.Digest != expected || Digests.OfArtifact(manifest.Kind, manifest.Files) != expected)
            throw new InvalidDataException($"The manifest {path} does not have the digest that it is stored under.");
        return manifest;
    }
}
