using System.Buffers.Binary;
using Lab.Tensors;

namespace Lab.Models.Checkpoints.Pickles;

/// <summary>The record at the end of a zip, with the zip64 record before it if there is one: where the directory lies.</summary>
internal readonly record struct ZipEnd(long Count, long DirectoryOffset, long DirectoryLength)
{
    private const int EndBytes = 22;
    private const int LocatorBytes = 20;
    private const int RecordBytes = 56;
    private const uint EndSignature = 0x06054B50;
    private const uint LocatorSignature = 0x07064B50;
    private const uint RecordSignature = 0x06064B50;

    /// <summary>Finds the end record: the last one whose comment ends with the file.</summary>
    public static ZipEnd Find(TensorFile file)
    {
        byte[] tail = new byte[Math.Min(file.Length, EndBytes + ushort.MaxValue)];
        file.ReadExactly(file.Length - tail.Length, tail);
        for (int i = tail.Length - EndBytes; i >= 0; i--)
        {
            ReadOnlySpan<byte> end = tail.AsSpan(i);
            if (UInt32(end, 0) == EndSignature && EndBytes + UInt16(end, 20) == end.Length) return Read(file, file.Length - end.Length, end);
        }

        throw new InvalidDataException($"{file.Path}: is no zip: it is cut short, or not a file of PyTorch 1.6 or later.");
    }

    private static ZipEnd Read(TensorFile file, long at, ReadOnlySpan<byte> end)
    {
        ZipEnd found = new(UInt16(end, 10), UInt32(end, 16), UInt32(end, 12));
        if (UInt16(end, 4) != 0 || UInt16(end, 6) != 0 || UInt16(end, 8) != found.Count) throw Failure(file, at, "the zip has several parts");

        long directoryEnd = at;
        Span<byte> locator = stackalloc byte[LocatorBytes];
        if (at >= LocatorBytes + RecordBytes)
        {
            file.ReadExactly(at - LocatorBytes, locator);
            if (UInt32(locator, 0) == LocatorSignature)
            {
                directoryEnd = Int64(locator, 8);
                found = ReadZip64(file, at - LocatorBytes, directoryEnd, found);
            }
        }

        if (found.DirectoryOffset < 0 || found.DirectoryLength < 0 || (Int128)found.DirectoryOffset + found.DirectoryLength != directoryEnd)
            throw Failure(file, at, $"a directory of {found.DirectoryLength} bytes at byte {found.DirectoryOffset} does not end at byte {directoryEnd}");
        return found;
    }

    /// <summary>Reads the zip64 record, which must end at its locator and agree with the end record where that has room for its numbers.</summary>
    private static ZipEnd ReadZip64(TensorFile file, long locatorAt, long recordAt, ZipEnd end)
    {
        if (recordAt != locatorAt - RecordBytes) throw Failure(file, locatorAt, $"the zip64 record at byte {recordAt} is not where it must be");
        Span<byte> record = stackalloc byte[RecordBytes];
        file.ReadExactly(recordAt, record);
        if (UInt32(record, 0) != RecordSignature || Int64(record, 4) != RecordBytes - 12) throw Failure(file, recordAt, "there is no zip64 record");
        if (UInt32(record, 16) != 0 || UInt32(record, 20) != 0) throw Failure(file, recordAt, "the zip has several parts");
        ZipEnd found = new(Int64(record, 32), Int64(record, 48), Int64(record, 40));
        bool agrees = Int64(record, 24) == found.Count && found.Count >= 0
            && (end.Count == ushort.MaxValue || end.Count == found.Count)
            && (end.DirectoryOffset == uint.MaxValue || end.DirectoryOffset == found.DirectoryOffset)
            && (end.DirectoryLength == uint.MaxValue || end.DirectoryLength == found.DirectoryLength);
        return agrees ? found : throw Failure(file, recordAt, "the zip64 record contradicts the end of the zip");
    }

    private static ushort UInt16(ReadOnlySpan<byte> bytes, int offset) => BinaryPrimitives.ReadUInt16LittleEndian(bytes[offset..]);

    private static uint UInt32(ReadOnlySpan<byte> bytes, int offset) => BinaryPrimitives.ReadUInt32LittleEndian(bytes[offset..]);

    private static long Int64(ReadOnlySpan<byte> bytes, int offset) => BinaryPrimitives.ReadInt64LittleEndian(bytes[offset..]);

    private static InvalidDataException Failure(TensorFile file, long at, string reason) => new($"{file.Path}: zip, byte {at}: {reason}.");
}
