namespace Lab.Tensors;

/// <summary>Writes files that are either whole or not there.</summary>
public static class WholeFile
{
    /// <summary>Writes a file beside its place, flushes it to the disk and puts it there: after a crash there is the whole new file or what was there before.</summary>
    /// <param name="path">The file to write; an existing one is replaced. Its folder must exist.</param>
    /// <param name="write">Writes its bytes.</param>
    /// <exception cref="IOException">The file cannot be written, such as when the disk is full; nothing is left behind.</exception>
    public static void Write(string path, Action<Stream> write)
    {
        ArgumentNullException.ThrowIfNull(write);
        string temporary = $"{path}.{Guid.NewGuid():N}.tmp";
        try
        {
            using (FileStream stream = new(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }

            File.Move(temporary, path, overwrite: true);
        }
        finally
        {
            File.Delete(temporary);
        }
    }
}
