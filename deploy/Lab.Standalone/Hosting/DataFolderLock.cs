namespace Lab.Standalone.Hosting;

/// <summary>
/// Keeps a second `lab` off a data folder, and tells it where the first one's gateway is. The operating system lets go of the lock
/// when the process ends, however it ends.
/// </summary>
internal sealed class DataFolderLock : IDisposable
{
    private const string LockName = "lab.lock";
    private const string GatewayName = "lab.gateway";

    private readonly FileStream _lock;
    private readonly string _gateway;

    private DataFolderLock(FileStream stream, string dataFolder)
    {
        _lock = stream;
        _gateway = Path.Combine(dataFolder, GatewayName);
    }

    /// <exception cref="CommandException">Another process has the lock, or the folder cannot be written to.</exception>
    public static DataFolderLock Take(string dataFolder)
    {
        try
        {
            Directory.CreateDirectory(dataFolder);
            return new DataFolderLock(Open(dataFolder), dataFolder);
        }
        catch (UnauthorizedAccessException fault)
        {
            throw CommandException.Failed($"The data folder '{dataFolder}' cannot be written to. Choose another with --data.", fault);
        }
        catch (IOException fault)
        {
            Uri? gateway = FindGateway(dataFolder);
            throw CommandException.Failed(
                gateway is null
                    ? $"The data folder '{dataFolder}' cannot be used ({fault.Message}). Choose another with --data."
                    : $"Another lab works in the data folder '{dataFolder}'. Choose another folder with --data, or use that lab with --gateway {gateway.GetLeftPart(UriPartial.Authority)}.",
                fault);
        }
    }

    /// <summary>Says where the gateway is.</summary>
    public void Publish(Uri gateway) => File.WriteAllText(_gateway, gateway.ToString());

    /// <summary>The gateway of the lab that works in the folder; null if none does.</summary>
    public static Uri? FindGateway(string dataFolder)
    {
        string path = Path.Combine(dataFolder, GatewayName);
        return IsTaken(dataFolder) && File.Exists(path) && Uri.TryCreate(File.ReadAllText(path).Trim(), UriKind.Absolute, out Uri? gateway) ? gateway : null;
    }

    public void Dispose()
    {
        File.Delete(_gateway);
        _lock.Dispose();
    }

    private static bool IsTaken(string dataFolder)
    {
        if (!File.Exists(Path.Combine(dataFolder, LockName))) return false;
        try
        {
            Open(dataFolder).Dispose();
            return false;
        }
        catch (IOException)
        {
            return true;
        }
    }

    private static FileStream Open(string dataFolder) =>
        new(Path.Combine(dataFolder, LockName), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
}
