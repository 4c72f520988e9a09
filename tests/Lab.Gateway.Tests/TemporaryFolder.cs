namespace Lab.Gateway.Tests;

/// <summary>A folder that is deleted with its content.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("lab-gateway-").FullName;

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
