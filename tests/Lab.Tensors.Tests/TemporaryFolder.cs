namespace Lab.Tensors.Tests;

/// <summary>A folder that is gone after the test.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    private readonly string _path = Directory.CreateTempSubdirectory("lab-tensors-").FullName;

    public string this[string file] => Path.Combine(_path, file);

    public string[] Files => [.. Directory.EnumerateFiles(_path).Select(file => Path.GetFileName(file)!)];

    public void Dispose() => Directory.Delete(_path, recursive: true);
}
