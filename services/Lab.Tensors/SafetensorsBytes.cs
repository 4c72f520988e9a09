using System.Buffers.Binary;

namespace Lab.Tensors;

/// <summary>The bytes of a safetensors file that lie in memory, read and checked. See <see cref="SafetensorsFile"/>.</summary>
/// <param name="Tensors">The tensors by name. They share memory with the bytes.</param>
/// <param name="Metadata">The strings under the header's <c>__metadata__</c>; empty if there are none.</param>
public sealed record SafetensorsBytes(IReadOnlyDictionary<string, HostTensor> Tensors, IReadOnlyDictionary<string, string> Metadata)
{
    /// <summary>Reads bytes. Tensors are not copied; each entry of the header takes some hundred bytes of objects, which may be ten times its text.</summary>
    /// <param name="bytes">A whole file. Not copied: the caller gives it away.</param>
    /// <param name="name">What it is, for errors: "state".</param>
    /// <param name="maxHeaderBytes">The largest JSON header; by default <see cref="SafetensorsFile.MaxHeaderBytes"/>.</param>
    /// <exception cref="InvalidDataException">The bytes are malformed, or a tensor's type has no place in host memory. Names <paramref name="name"/> and reason.</exception>
    public static SafetensorsBytes Read(ReadOnlyMemory<byte> bytes, string name, long maxHeaderBytes = SafetensorsFile.MaxHeaderBytes)
    {
        if (bytes.Length < sizeof(ulong)) throw new InvalidDataException($"{name}: has {bytes.Length} bytes, too few for safetensors.");
        ulong length = BinaryPrimitives.ReadUInt64LittleEndian(bytes.Span);
        if (length > (ulong)maxHeaderBytes) throw new InvalidDataException($"{name}: the header claims {length} bytes; at most {maxHeaderBytes} are allowed.");
        if (length > (ulong)(bytes.Length - sizeof(ulong)))
        {
            throw new InvalidDataException($"{name}: the header claims {length} bytes, but only {bytes.Length - sizeof(ulong)} follow.");
        }

        SafetensorsHeader header = SafetensorsHeader.Parse(bytes.Slice(sizeof(ulong), (int)length).ToArray(), bytes.Length, name);
        return new SafetensorsBytes(header.Entries.Values.ToDictionary(entry => entry.Name, entry => ToTensor(entry, bytes, name)), header.Metadata);
    }

    private static HostTensor ToTensor(SafetensorsEntry entry, ReadOnlyMemory<byte> bytes, string name) =>
        new(
            entry.Name,
            entry.DataType ?? throw new InvalidDataException($"{name}: tensor '{entry.Name}' is of type {entry.StoredType}, which cannot be read."),
            [.. entry.Shape],
            bytes.Slice((int)entry.Offset, (int)entry.ByteCount));
}
