namespace Lab.ServiceDefaults.Runs;

/// <summary>
/// Keeps a second process off the runs of a collection. The operating system releases it when the process ends, however it ends.
/// </summary>
internal sealed class RunFolderLock : IDisposable
{
    private readonly FileStream _stream;

    /// <exception cref="InvalidOperationException">Another process has it.</exception>
    public RunFolderLock(string dataFolder, string collection)
    {
        string runs = Directory.CreateDirectory(Path.Combine(dataFolder, "runs")).FullName;
        try
        {
            _stream = new FileStream(Path.Combine(runs, collection + ".lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException e) when (!Errors.ErrorMapping.IsDiskFull(e))
        {
            throw new InvalidOperationException(
                $"Another process works on the {collection} in the data folder '{dataFolder}'. Stop it, or choose another folder with --data or Lab__Data.", e);
        }
    }

    public void Dispose() => _stream.Dispose();
}
