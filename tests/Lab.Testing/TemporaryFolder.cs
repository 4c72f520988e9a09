namespace Lab.Testing;

/// <summary>A folder of its own for one test, deleted at the end.</summary>
public sealed class TemporaryFolder : IDisposable
{
    /// <summary>The absolute path.</summary>
    public string Path { get; } = Directory.CreateTempSubdirectory("lab-test-").FullName;

    /// <summary>The path of something in it.</summary>
    public string this[params string[] parts] => System.IO.Path.Combine([Path, .. parts]);

    /// <summary>Every file below, relative, in ordinal order.</summary>
    public string[] Files() =>
        [.. Directory.EnumerateFiles(Path, "*", SearchOption.AllDirectories).Select(file => System.IO.Path.GetRelativePath(Path, file)).Order(StringComparer.Ordinal)];

    /// <summary>
    /// What a crash at this moment would leave: a copy of the files that are on disk now, without the locks (*.lock) that the system
    /// would release.
    /// </summary>
    public TemporaryFolder Crash()
    {
        TemporaryFolder copy = new();
        foreach (string file in Files().Where(file => !file.EndsWith(".lock", StringComparison.Ordinal)))
        {
            _ = Directory.CreateDirectory(System.IO.Path.GetDirectoryName(copy[file])!);
            File.Copy(this[file], copy[file]);
        }

        return copy;
    }

    /// <inheritdoc/>
    public void Dispose() => Directory.Delete(Path, recursive: true);
}
