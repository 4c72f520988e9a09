using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Lab.SparseTraining.Corpora;

/// <summary>A number that depends on a seed and some bytes alone, for an order or a split that does not depend on how files were found.</summary>
internal static class SeededHash
{
    public static ulong Of(long seed, ReadOnlySpan<byte> data)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Span<byte> bytes = stackalloc byte[SHA256.HashSizeInBytes];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, seed);
        hash.AppendData(bytes[..sizeof(long)]);
        hash.AppendData(data);
        hash.GetHashAndReset(bytes);
        return BinaryPrimitives.ReadUInt64LittleEndian(bytes);
    }
}
