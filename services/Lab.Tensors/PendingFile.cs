namespace Lab.Tensors;

/// <summary>
/// A new file whose bytes have been written beside its place: <see cref="Commit"/>, which waits for the disk and may run on any thread,
/// puts it there. Disposed without, it is gone.
/// </summary>
public sealed class PendingFile : IDisposable
{
    private readonly string _path;
    private readonly string _temporary;
    private readonly Stream _stream;

    internal PendingFile(string path, Action<Stream> write, Func<string, Stream>? create)
    {
        (_path, _temporary) = (path, $"{path}.{Guid.NewGuid():N}.tmp");
        _stream = (create ?? Create)(_temporary);
        try
        {
            write(_stream);
            _stream.Flush();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Flushes the bytes to the disk and puts the file into its place: after a crash there is the whole new file or what was there before.</summary>
    /// <exception cref="IOException">It cannot be flushed or moved.</exception>
    public void Commit()
    {
        if (_stream is FileStream file) file.Flush(flushToDisk: true);
        _stream.Dispose();
        File.Move(_temporary, _path, overwrite: true);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _stream.Dispose();
        File.Delete(_temporary);
    }

    private static FileStream Create(string path) => new(path, FileMode.CreateNew, FileAccess.Write, FileShare.None);
}
