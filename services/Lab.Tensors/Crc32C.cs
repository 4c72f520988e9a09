using System.Numerics;
using System.Runtime.InteropServices;

namespace Lab.Tensors;

/// <summary>CRC-32C (Castagnoli, RFC 3720 appendix B.4), with the processor's instruction where it has one.</summary>
internal static class Crc32C
{
    // The instruction takes three cycles but one can start in each: three independent lanes keep it busy.
    private const int LaneBytes = 4096;
    private const int LaneWords = LaneBytes / sizeof(ulong);

    private static readonly uint[] _lanePassed = BuildLanePassed();

    internal static uint Compute(ReadOnlySpan<byte> data)
    {
        uint crc = uint.MaxValue;
        while (data.Length >= 3 * LaneBytes)
        {
            crc = AppendLanes(crc, MemoryMarshal.Cast<byte, ulong>(data[..(3 * LaneBytes)]));
            data = data[(3 * LaneBytes)..];
        }

        foreach (ulong word in MemoryMarshal.Cast<byte, ulong>(data)) crc = BitOperations.Crc32C(crc, word);
        foreach (byte b in data[(data.Length & ~7)..]) crc = BitOperations.Crc32C(crc, b);
        return ~crc;
    }

    private static uint AppendLanes(uint crc, ReadOnlySpan<ulong> words)
    {
        ReadOnlySpan<ulong> first = words[..LaneWords];
        ReadOnlySpan<ulong> second = words.Slice(LaneWords, LaneWords);
        ReadOnlySpan<ulong> third = words.Slice(2 * LaneWords, LaneWords);
        uint crc1 = 0;
        uint crc2 = 0;
        for (int i = 0; i < first.Length; i++)
        {
            crc = BitOperations.Crc32C(crc, first[i]);
            crc1 = BitOperations.Crc32C(crc1, second[i]);
            crc2 = BitOperations.Crc32C(crc2, third[i]);
        }

        // The register is linear over GF(2): what came before a lane acts on it as if the lane were zeros.
        return PassLane(PassLane(crc) ^ crc1) ^ crc2;
    }

    /// <summary>The register after a lane of zeros.</summary>
    private static uint PassLane(uint crc) =>
        _lanePassed[crc & 0xFF]
        ^ _lanePassed[0x100 + ((crc >> 8) & 0xFF)]
        ^ _lanePassed[0x200 + ((crc >> 16) & 0xFF)]
        ^ _lanePassed[0x300 + (crc >> 24)];

    private static uint[] BuildLanePassed()
    {
        uint[] table = new uint[4 * 256];
        for (int bit = 0; bit < 32; bit++)
        {
            uint crc = 1u << bit;
            for (int i = 0; i < LaneWords; i++) crc = BitOperations.Crc32C(crc, 0ul);
            Span<uint> row = table.AsSpan(bit / 8 * 256, 256);
            for (int value = 0; value < row.Length; value++)
            {
                if ((value >> (bit % 8) & 1) != 0) row[value] ^= crc;
            }
        }

        return table;
    }
}
