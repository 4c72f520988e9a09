namespace Lab.Artifacts;

/// <summary>Writes files so that a crash or a full disk leaves either the old file or the new one, never a part.</summary>
internal static class AtomicFile
{
    public const string TemporarySuffix = ".tmp";

    /// <summary>Creates a file that must not exist, locked against other writers while it is open.</summary>
    public static Stream Create(string path) => new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.None);

    /// <summary>Writes beside <paramref name="path"/>, flushes to disk and renames.</summary>
    public static async Task WriteAsync(Func<string, Stream> create, string path, ReadOnlyMemory<byte> bytes, CancellationToken ct)
    {
        string temporary = $"{path}.{Guid.NewGuid():n}{TemporarySuffix}";
        try
        {
            await WriteDurablyAsync(create, temporary, bytes, ct);
            File.Move(temporary, path, overwrite: true);
        }
        finally
        {
            File.Delete(temporary);
        }
    }

    /// <summary>Writes a new file and flushes it to disk.</summary>
    public static async Task WriteDurablyAsync(Func<string, Stream> create, string path, ReadOnlyMemory<byte> bytes, CancellationToken ct)
    {
        await using Stream stream = create(path);
        await stream.WriteAsync(bytes, ct);
        await stream.FlushAsync(ct);
        if (stream is FileStream file) file.Flush(flushToDisk: true);
    }

    /// <summary>Whether another process, or this one, has the file open for writing through this class.</summary>
    public static bool IsBeingWritten(string path)
    {
        try
        {
            using FileStream stream = new(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
            return false;
        }
        catch (FileNotFoundException)
        {
            return false;
        }
        catch (IOException)
        {
            return true;
        }
    }
}
