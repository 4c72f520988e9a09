using System.Text;

namespace Lab.Models.Checkpoints.Pickles;

/// <summary>
/// Writes a zip of stored files, one after the other, as torch.save does: the contents of each begin at a multiple of 64 bytes, so
/// that they can be mapped, and checksum and length follow them, so that nothing is read twice. Times are zero: equal files give equal
/// bytes. Numbers that 32 bits cannot hold take zip64's fields. Its end record is always there, as PyTorch has it.
/// </summary>
/// <param name="stream">Where the zip goes, from its start on. Not disposed.</param>
/// <param name="limit">The smallest number that 32 bits cannot hold.</param>
internal sealed class StoredZipWriter(Stream stream, long limit = uint.MaxValue)
{
    private const int Alignment = 64;
    private const int HeaderBytes = 30;
    private const ushort Zip64Field = 1;
    private const ushort PaddingField = 0x4246;

    // Sizes come after the contents, and names are UTF-8.
    private const ushort Flags = (1 << 3) | (1 << 11);

    private readonly List<Entry> _entries = [];
    private long _position;
    private long _left;
    private uint _crc;

    /// <summary>Begins a file of so many bytes.</summary>
    public void Begin(string name, long length)
    {
        byte[] text = Encoding.UTF8.GetBytes(name);
        Entry entry = new(text, length, _position, Zip64(length, length, _position));
        _entries.Add(entry);
        long start = _position + HeaderBytes + text.Length + entry.Zip64.Length + 4;
        int padding = (int)(-start & (Alignment - 1));
        Emit(writer =>
        {
            writer.Write(0x04034B50u);
            WriteCommon(writer, crc: 0, length: 0, text.Length, entry.Zip64.Length + 4 + padding);
            writer.Write(text);
            writer.Write(entry.Zip64);
            writer.Write(PaddingField);
            writer.Write((ushort)padding);
            for (int i = 0; i < padding; i++) writer.Write((byte)'Z');
        });
        (_crc, _left) = (0, length);
    }

    /// <summary>Writes the next bytes of the file that was begun.</summary>
    public void Write(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > _left) throw new InvalidOperationException($"{bytes.Length} bytes where the file has {_left} left.");
        _crc = Crc32.Append(_crc, bytes);
        _left -= bytes.Length;
        Put(bytes);
    }

    /// <summary>Ends the file that was begun.</summary>
    public void End()
    {
        if (_left != 0) throw new InvalidOperationException($"The file has {_left} bytes left.");
        Entry entry = _entries[^1] with { Crc = _crc };
        _entries[^1] = entry;
        Emit(writer =>
        {
            writer.Write(0x08074B50u);
            writer.Write(entry.Crc);
            if (entry.Zip64.Length > 0)
            {
                writer.Write(entry.Length);
                writer.Write(entry.Length);
            }
            else
            {
                writer.Write((uint)entry.Length);
                writer.Write((uint)entry.Length);
            }
        });
    }

    /// <summary>Writes the directory: the zip is whole then.</summary>
    public void Complete()
    {
        long directory = _position;
        foreach (Entry entry in _entries)
        {
            Emit(writer =>
            {
                writer.Write(0x02014B50u);
                writer.Write((ushort)0);
                WriteCommon(writer, entry.Crc, Narrow(entry.Length), entry.Name.Length, entry.Zip64.Length);
                writer.Write(new byte[10]);
                writer.Write(Narrow(entry.Offset));
                writer.Write(entry.Name);
                writer.Write(entry.Zip64);
            });
        }

        long size = _position - directory, end = _position;
        Emit(writer =>
        {
            WriteZip64End(writer, directory, size, end);
            ushort count = (ushort)Math.Min(_entries.Count, ushort.MaxValue);
            writer.Write(0x06054B50u);
            writer.Write(0u);
            writer.Write(count);
            writer.Write(count);
            writer.Write(Narrow(size));
            writer.Write(Narrow(directory));
            writer.Write((ushort)0);
        });
    }

    private void WriteZip64End(BinaryWriter writer, long directory, long size, long end)
    {
        writer.Write(0x06064B50u);
        writer.Write(44L);
        writer.Write((ushort)0x031E);
        writer.Write((ushort)45);
        writer.Write(0L);
        writer.Write((long)_entries.Count);
        writer.Write((long)_entries.Count);
        writer.Write(size);
        writer.Write(directory);
        writer.Write(0x07064B50u);
        writer.Write(0u);
        writer.Write(end);
        writer.Write(1u);
    }

    /// <summary>What headers and directory have in common. Version and time are zero, as torch.save leaves them.</summary>
    private static void WriteCommon(BinaryWriter writer, uint crc, uint length, int nameLength, int extraLength)
    {
        writer.Write((ushort)0);
        writer.Write(Flags);
        writer.Write((ushort)0);
        writer.Write(0u);
        writer.Write(crc);
        writer.Write(length);
        writer.Write(length);
        writer.Write((ushort)nameLength);
        writer.Write((ushort)extraLength);
    }

    /// <summary>The field with those of the numbers that are too large; empty if none is.</summary>
    private byte[] Zip64(params ReadOnlySpan<long> numbers)
    {
        byte[] values = [];
        foreach (long number in numbers)
        {
            if (number >= limit) values = [.. values, .. BitConverter.GetBytes(number)];
        }

        return values.Length == 0 ? [] : [.. BitConverter.GetBytes(Zip64Field), .. BitConverter.GetBytes((ushort)values.Length), .. values];
    }

    private uint Narrow(long number) => number >= limit ? uint.MaxValue : (uint)number;

    private void Emit(Action<BinaryWriter> write)
    {
        using MemoryStream record = new();
        using BinaryWriter writer = new(record);
        write(writer);
        writer.Flush();
        Put(record.GetBuffer().AsSpan(0, (int)record.Length));
    }

    private void Put(ReadOnlySpan<byte> bytes)
    {
        stream.Write(bytes);
        _position += bytes.Length;
    }

    private readonly record struct Entry(byte[] Name, long Length, long Offset, byte[] Zip64, uint Crc = 0);
}
