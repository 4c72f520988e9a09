namespace Lab.Artifacts;

/// <summary>Opens the files that the store itself writes. A seam: tests put a full disk in its place.</summary>
internal interface IWriteStreams
{
    /// <summary>Creates a file that must not exist, locked against other writers while it is open.</summary>
    Stream Create(string path);
}

/// <summary>Files on disk.</summary>
internal sealed class DiskWriteStreams : IWriteStreams
{
    public static readonly DiskWriteStreams Instance = new();

    public Stream Create(string path) => new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.None);
}
