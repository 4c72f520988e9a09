namespace Lab.ServiceDefaults;

/// <summary>Writes small files so that a crash or a full disk leaves either the old file or the new one, never a part.</summary>
/// <param name="create">Opens the temporary file. A seam: tests put a full disk in its place.</param>
public sealed class AtomicFile(Func<string, Stream>? create = null)
{
    private readonly Func<string, Stream> _create =
        create ?? (path => new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.None));

    /// <summary>Writes beside <paramref name="path"/>, flushes to disk and renames.</summary>
    public void Write(string path, ReadOnlySpan<byte> bytes)
    {
        string temporary = $"{path}.{Guid.NewGuid():n}.tmp";
        try
        {
            using (Stream stream = _create(temporary))
            {
                stream.Write(bytes);
                stream.Flush();
                if (stream is FileStream file) file.Flush(flushToDisk: true);
            }

            File.Move(temporary, path, overwrite: true);
        }
        finally
        {
            File.Delete(temporary);
        }
    }
}
