namespace Lab.ServiceDefaults.Tests;

internal sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("lab-defaults-").FullName;

    /// <summary>
    /// What a crash at this moment would leave: a copy of the files that are on disk now, without the lock that the system would release.
    /// </summary>
    public TemporaryFolder Crash()
    {
        var copy = new TemporaryFolder();
        foreach (string file in Directory.EnumerateFiles(Path, "*", SearchOption.AllDirectories).Where(f => !f.EndsWith(".lock", StringComparison.Ordinal)))
        {
            string target = System.IO.Path.Combine(copy.Path, System.IO.Path.GetRelativePath(Path, file));
            _ = Directory.CreateDirectory(System.IO.Path.GetDirectoryName(target)!);
            File.Copy(file, target);
        }

        return copy;
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
