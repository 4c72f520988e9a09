using System.Buffers.Binary;
using System.Text;

namespace Lab.Models.Checkpoints.Pickles;

/// <summary>Reads the bytes of a pickle in order; whatever goes wrong names the file, the opcode and its byte.</summary>
internal sealed class PickleCursor(byte[] bytes, string path)
{
    private const int MaxStringBytes = 4096;
    private const int MaxLineBytes = 256;

    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private int _position;
    private int _opcodeAt;
    private PickleOpcode _opcode;

    public int Length => bytes.Length;

    public int Left => bytes.Length - _position;

    public PickleOpcode ReadOpcode()
    {
        _opcodeAt = _position;
        if (Left == 0) throw new InvalidDataException($"{path}: data.pkl ends at byte {_position} without {PickleOpcode.STOP}.");
        _opcode = (PickleOpcode)bytes[_position++];
        return _opcode;
    }

    public byte ReadByte() => Take(1)[0];

    public ushort ReadUInt16() => BinaryPrimitives.ReadUInt16LittleEndian(Take(2));

    public int ReadInt32() => BinaryPrimitives.ReadInt32LittleEndian(Take(4));

    public uint ReadUInt32() => BinaryPrimitives.ReadUInt32LittleEndian(Take(4));

    public ulong ReadUInt64() => BinaryPrimitives.ReadUInt64LittleEndian(Take(8));

    public double ReadDouble() => BinaryPrimitives.ReadDoubleBigEndian(Take(8));

    /// <summary>A signed little-endian integer of so many bytes; 0 for none.</summary>
    public long ReadInteger(long byteCount)
    {
        if (byteCount is < 0 or > 8) throw Failure($"holds an integer of {byteCount} bytes; at most 8 are allowed");
        long value = 0;
        ReadOnlySpan<byte> digits = Take((int)byteCount);
        for (int i = digits.Length - 1; i >= 0; i--) value = i == digits.Length - 1 ? (sbyte)digits[i] : (value << 8) | digits[i];
        return value;
    }

    public string ReadString(ulong byteCount)
    {
        if (byteCount > MaxStringBytes) throw Failure($"holds a string of {byteCount} bytes; at most {MaxStringBytes} are allowed");
        return Decode(Take((int)byteCount));
    }

    /// <summary>A line without its line feed.</summary>
    public string ReadLine()
    {
        ReadOnlySpan<byte> rest = bytes.AsSpan(_position, Math.Min(Left, MaxLineBytes + 1));
        int length = rest.IndexOf((byte)'\n');
        if (length < 0) throw Failure($"holds a line that does not end within {MaxLineBytes} bytes");
        string line = Decode(rest[..length]);
        _position += length + 1;
        return line;
    }

    public InvalidDataException Failure(string reason)
    {
        string name = Enum.IsDefined(_opcode) ? _opcode.ToString() : $"the byte 0x{(byte)_opcode:x2}";
        return new InvalidDataException($"{path}: data.pkl, byte {_opcodeAt}: {name} {reason}.");
    }

    private string Decode(ReadOnlySpan<byte> text)
    {
        try
        {
            return StrictUtf8.GetString(text);
        }
        catch (DecoderFallbackException)
        {
            throw Failure("holds text that is not UTF-8");
        }
    }

    private ReadOnlySpan<byte> Take(int count)
    {
        if (count > Left) throw Failure($"needs {count} more bytes, but only {Left} are left");
        ReadOnlySpan<byte> taken = bytes.AsSpan(_position, count);
        _position += count;
        return taken;
    }
}
