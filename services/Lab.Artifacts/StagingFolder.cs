namespace Lab.Artifacts;

/// <summary>
/// A folder of one write in progress, on the same file system as the store. Its lock file is held open as long as the write lasts,
/// so that what a killed process left can be told from what another process is writing now.
/// </summary>
internal sealed class StagingFolder : IDisposable
{
    private const string LockName = "lock";
    private readonly FileStream _lock;

    public StagingFolder(string stagingRoot)
    {
        Root = Path.Combine(stagingRoot, Guid.NewGuid().ToString("n"));
        Directory.CreateDirectory(Files);
        _lock = new FileStream(Path.Combine(Root, LockName), FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None);
    }

    /// <summary>The write's own folder.</summary>
    public string Root { get; }

    /// <summary>Where the maker of the artifact puts its files.</summary>
    public string Files => Path.Combine(Root, "files");

    /// <summary>Where the manifest waits for the files to be in place.</summary>
    public string Manifest => Path.Combine(Root, "manifest.json");

    /// <summary>Whether the write that this folder belongs to has not ended, in whatever process.</summary>
    public static bool IsLive(string folder) => AtomicFile.IsBeingWritten(Path.Combine(folder, LockName));

    public void Dispose()
    {
        _lock.Dispose();
        Directory.Delete(Root, recursive: true);
    }
}
