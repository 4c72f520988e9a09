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
        using PendingFile file = Begin(path, write);
        file.Commit();
    }

    /// <summary>As <see cref="Write"/>, but for what waits for the disk.</summary>
    /// <param name="path">The file to write; an existing one is replaced once the file is committed. Its folder must exist.</param>
    /// <param name="write">Writes its bytes.</param>
    /// <param name="create">Creates a file that must not exist; a seam.</param>
    /// <returns>To commit and to dispose.</returns>
    /// <exception cref="IOException">The file cannot be written, such as when the disk is full; nothing is left behind.</exception>
    public static PendingFile Begin(string path, Action<Stream> write, Func<string, Stream>? create = null)
    {
        ArgumentNullException.ThrowIfNull(write);
        return new PendingFile(path, write, create);
    }
}
