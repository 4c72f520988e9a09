using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using Lab.Artifacts;

namespace Lab.Gateway.Artifacts;

/// <summary>Reads a stored file and checks on the way that its bytes are those that were stored.</summary>
internal static class VerifiedFile
{
    public const int ChunkBytes = 1 << 20;

    /// <summary>The file in chunks, each valid until the next is asked for.</summary>
    /// <exception cref="InvalidDataException">The file is missing, or (thrown after the last chunk) its bytes have another digest.</exception>
    public static async IAsyncEnumerable<ReadOnlyMemory<byte>> ReadAsync(
        string path, StoredFile file, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using FileStream stream = Open(path, file);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] buffer = new byte[(int)Math.Clamp(file.SizeBytes, 1, ChunkBytes)];
        while (await stream.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellationToken) is int read and > 0)
        {
            hash.AppendData(buffer, 0, read);
            yield return buffer.AsMemory(0, read);
        }

        if ($"sha256:{Convert.ToHexStringLower(hash.GetHashAndReset())}" != file.Digest)
            throw new InvalidDataException($"The stored bytes of '{file.Path}' do not have the recorded digest {file.Digest}.");
    }

    private static FileStream Open(string path, StoredFile file)
    {
        try
        {
            return new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, FileOptions.Asynchronous | FileOptions.SequentialScan);
        }
        catch (FileNotFoundException missing)
        {
            throw new InvalidDataException($"The stored bytes of '{file.Path}' ({file.Digest}) are missing.", missing);
        }
    }
}
