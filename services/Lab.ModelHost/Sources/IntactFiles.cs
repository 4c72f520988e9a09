using System.Collections.Concurrent;
using Lab.Artifacts;

namespace Lab.ModelHost.Sources;

/// <summary>
/// Requires of stored files that they are what their digests say. A file may be much larger than what a request wants of it: it
/// is read through at its first use, and again once its length or its time of change differs.
/// </summary>
internal sealed class IntactFiles(ArtifactStore store)
{
    private readonly ConcurrentDictionary<string, (long Length, DateTime Changed)> _known = new(StringComparer.Ordinal);

    /// <summary>Requires it of one file.</summary>
    /// <exception cref="InvalidDataException">It is missing or damaged; the message names artifact and file.</exception>
    public async Task RequireAsync(StoredArtifact artifact, string file, CancellationToken ct)
    {
        string path = store.GetPath(artifact, file);
        (long, DateTime)? seen = StateOf(path);
        if (seen is { } state && _known.TryGetValue(path, out (long, DateTime) known) && known == state) return;
        await store.VerifyAsync(artifact, file, ct);
        if (seen is { } verified) _known[path] = verified;
    }

    /// <summary>Requires it of all files of an artifact.</summary>
    /// <inheritdoc cref="RequireAsync(StoredArtifact, string, CancellationToken)"/>
    public async Task RequireAsync(StoredArtifact artifact, CancellationToken ct)
    {
        foreach (StoredFile file in artifact.Files) await RequireAsync(artifact, file.Path, ct);
    }

    private static (long Length, DateTime Changed)? StateOf(string path)
    {
        FileInfo info = new(path);
        return info.Exists ? (info.Length, info.LastWriteTimeUtc) : null;
    }
}
