using System.Buffers.Binary;
using System.Text;
using Lab.Tensors;

namespace Lab.Models.Checkpoints.Pickles;

/// <summary>
/// The directory of a zip whose files are all stored as they are, as PyTorch writes it, so that each can be mapped: where the bytes
/// of each file lie. The directory is believed in nothing: it must end the zip, and the files must lie before it, each where its own
/// header says, and apart. Checksums are not compared, as that would read all of the zip.
/// </summary>
internal sealed class ZipDirectory
{
    private const int MaxDirectoryBytes = 16 << 20;
    private const int MaxNameBytes = 1024;
    private const int EntryBytes = 46;
    private const int HeaderBytes = 30;
    private const uint EntrySignature = 0x02014B50;
    private const uint HeaderSignature = 0x04034B50;
    private const ushort IsEncrypted = 1 | (1 << 6) | (1 << 13);
    private const ushort HasSizesAfter = 1 << 3;
    private const ushort Zip64Field = 1;

    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly TensorFile _file;
    private readonly ZipEnd _end;

    private ZipDirectory(TensorFile file)
    {
        _file = file;
        _end = ZipEnd.Find(file);
    }

    /// <summary>Reads the directory of a file.</summary>
    /// <returns>The entries by name.</returns>
    /// <exception cref="InvalidDataException">The file is no zip, or its directory is refused. Names path and byte.</exception>
    public static Dictionary<string, ZipEntry> Read(TensorFile file) => new ZipDirectory(file).Read();

    private Dictionary<string, ZipEntry> Read()
    {
        if (_end.DirectoryLength > MaxDirectoryBytes) throw Failure(_end.DirectoryOffset, $"the directory has {_end.DirectoryLength} bytes; at most {MaxDirectoryBytes} are allowed");
        // Each entry has its own bytes, so that the count cannot make memory be taken.
        if (_end.Count > _end.DirectoryLength / EntryBytes) throw Failure(_end.DirectoryOffset, $"{_end.Count} entries do not fit into a directory of {_end.DirectoryLength} bytes");

        byte[] directory = new byte[_end.DirectoryLength];
        _file.ReadExactly(_end.DirectoryOffset, directory);
        List<Listed> listed = new((int)_end.Count);
        for (int position = 0; position < directory.Length;) listed.Add(ReadEntry(directory, ref position));
        if (listed.Count != _end.Count) throw Failure(_end.DirectoryOffset, $"the directory has {listed.Count} entries, not {_end.Count}");
        return Locate(listed);
    }

    private Listed ReadEntry(byte[] directory, ref int position)
    {
        long at = _end.DirectoryOffset + position;
        ReadOnlySpan<byte> entry = directory.AsSpan(position);
        if (entry.Length < EntryBytes || UInt32(entry, 0) != EntrySignature) throw Failure(at, "there is no directory entry");
        (int nameLength, int extraLength, int commentLength) = (UInt16(entry, 28), UInt16(entry, 30), UInt16(entry, 32));
        int length = EntryBytes + nameLength + extraLength + commentLength;
        if (length > entry.Length) throw Failure(at, $"a directory entry of {length} bytes leaves the directory");
        string name = ReadName(entry.Slice(EntryBytes, nameLength), at);
        position += length;

        ushort flags = UInt16(entry, 8);
        ushort method = UInt16(entry, 10);
        if ((flags & IsEncrypted) != 0) throw Failure(at, $"'{name}' is encrypted");
        if (method != 0) throw Failure(at, $"'{name}' is compressed (method {method}); PyTorch stores files as they are");
        long[] values = [UInt32(entry, 24), UInt32(entry, 20), UInt32(entry, 42)];
        ReadZip64(entry.Slice(EntryBytes + nameLength, extraLength), values, name, at);
        if (values[0] != values[1]) throw Failure(at, $"'{name}' is stored, but its lengths are {values[1]} and {values[0]}");
        return new Listed(name, flags, values[0], values[2]);
    }

    private string ReadName(ReadOnlySpan<byte> bytes, long at)
    {
        if (bytes.Length is 0 or > MaxNameBytes) throw Failure(at, $"a name has {bytes.Length} bytes; 1 to {MaxNameBytes} are allowed");
        try
        {
            string name = StrictUtf8.GetString(bytes);
            return name.Any(char.IsControl) ? throw Failure(at, "a name holds control characters") : name;
        }
        catch (DecoderFallbackException)
        {
            throw Failure(at, "a name is not UTF-8");
        }
    }

    /// <summary>Replaces length, stored length and offset, where 32 bits are too few, by the 64 bits of an extra field.</summary>
    private void ReadZip64(ReadOnlySpan<byte> extra, long[] values, string name, long at)
    {
        while (extra.Length >= 4)
        {
            (ushort id, ushort length) = (UInt16(extra, 0), UInt16(extra, 2));
            if (length > extra.Length - 4) throw Failure(at, $"an extra field of '{name}' leaves the entry");
            ReadOnlySpan<byte> field = extra.Slice(4, length);
            extra = extra[(4 + length)..];
            if (id != Zip64Field) continue;
            for (int i = 0; i < values.Length; i++)
            {
                if (values[i] != uint.MaxValue) continue;
                if (field.Length < sizeof(long)) throw Failure(at, $"the zip64 field of '{name}' is too short");
                values[i] = BinaryPrimitives.ReadInt64LittleEndian(field);
                if (values[i] < 0) throw Failure(at, $"the zip64 field of '{name}' holds the number {(ulong)values[i]}");
                field = field[sizeof(long)..];
            }

            return;
        }
    }

    private Dictionary<string, ZipEntry> Locate(List<Listed> listed)
    {
        listed.Sort((a, b) => a.HeaderOffset.CompareTo(b.HeaderOffset));
        Dictionary<string, ZipEntry> entries = new(listed.Count, StringComparer.Ordinal);
        for (int i = 0; i < listed.Count; i++)
        {
            long limit = i + 1 < listed.Count ? listed[i + 1].HeaderOffset : _end.DirectoryOffset;
            ZipEntry entry = Locate(listed[i], Math.Min(limit, _end.DirectoryOffset));
            if (!entries.TryAdd(entry.Name, entry)) throw Failure(listed[i].HeaderOffset, $"'{entry.Name}' is in the zip twice");
        }

        return entries;
    }

    /// <summary>Finds the bytes of a file behind its own header; all of it must end before the next begins.</summary>
    private ZipEntry Locate(Listed listed, long limit)
    {
        long at = listed.HeaderOffset;
        if (at > limit - HeaderBytes) throw Failure(at, $"the header of '{listed.Name}' runs into what lies at byte {limit}");
        Span<byte> header = stackalloc byte[HeaderBytes];
        _file.ReadExactly(at, header);
        if (UInt32(header, 0) != HeaderSignature) throw Failure(at, $"there is no header of '{listed.Name}'");
        (int nameLength, int extraLength) = (UInt16(header, 26), UInt16(header, 28));
        long offset = at + HeaderBytes + nameLength + extraLength;
        if (offset > limit || listed.Length > limit - offset) throw Failure(at, $"the {listed.Length} bytes of '{listed.Name}' run into what lies at byte {limit}");
        if (UInt16(header, 6) != listed.Flags || UInt16(header, 8) != 0) throw Failure(at, $"the header of '{listed.Name}' contradicts the directory");
        uint length = UInt32(header, 22);
        if ((listed.Flags & HasSizesAfter) == 0 && length != uint.MaxValue && length != listed.Length)
            throw Failure(at, $"the header of '{listed.Name}' says {length} bytes, the directory {listed.Length}");

        Span<byte> name = stackalloc byte[MaxNameBytes];
        if (nameLength > name.Length || !ReadInto(at + HeaderBytes, name[..nameLength]).SequenceEqual(StrictUtf8.GetBytes(listed.Name)))
            throw Failure(at, $"the header of '{listed.Name}' has another name");
        return new ZipEntry(listed.Name, offset, listed.Length);
    }

    private ReadOnlySpan<byte> ReadInto(long offset, Span<byte> buffer)
    {
        _file.ReadExactly(offset, buffer);
        return buffer;
    }

    private static ushort UInt16(ReadOnlySpan<byte> bytes, int offset) => BinaryPrimitives.ReadUInt16LittleEndian(bytes[offset..]);

    private static uint UInt32(ReadOnlySpan<byte> bytes, int offset) => BinaryPrimitives.ReadUInt32LittleEndian(bytes[offset..]);

    private InvalidDataException Failure(long at, string reason) => new($"{_file.Path}: zip, byte {at}: {reason}.");

    /// <summary>What the directory says of a file.</summary>
    private readonly record struct Listed(string Name, ushort Flags, long Length, long HeaderOffset);
}
