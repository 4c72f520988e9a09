namespace Lab.ModelHost.Tests;

/// <summary>Files of the store whose bytes have changed.</summary>
internal static class DamagedFiles
{
    /// <summary>Changes the last byte of a file, which the store keeps read-only, a second after its last change.</summary>
    public static void FlipLastByte(string path)
    {
        DateTime changed = File.GetLastWriteTimeUtc(path).AddSeconds(1);
        byte[] bytes = File.ReadAllBytes(path);
        bytes[^1] ^= 1;
        File.Delete(path);
        File.WriteAllBytes(path, bytes);
        File.SetLastWriteTimeUtc(path, changed);
    }
}
