using System.Buffers;
using System.Buffers.Binary;
using System.Text.Json;

namespace Lab.Tensors;

/// <summary>Writes safetensors files.</summary>
public static class SafetensorsWriter
{
    /// <summary>
    /// Writes a file atomically: after a crash there is either the whole new file or what was there before. Equal tensors
    /// and metadata give equal bytes, in whatever order they come: tensors are laid out by descending element size, so
    /// that each is aligned, and then by name.
    /// </summary>
    /// <param name="path">The file to write; an existing one is replaced. Its folder must exist.</param>
    /// <param name="tensors">The tensors; their names are the keys.</param>
    /// <param name="metadata">Strings for the header's <c>__metadata__</c>; none by default.</param>
    /// <exception cref="ArgumentException">Two tensors have one name, or one is named <c>__metadata__</c>.</exception>
    /// <exception cref="IOException">The file cannot be written, such as when the disk is full; nothing is left behind.</exception>
    public static void Write(string path, IEnumerable<HostTensor> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        HostTensor[] ordered = Order(tensors);
        ReadOnlyMemory<byte> header = BuildHeader(ordered, metadata);
        WholeFile.Write(path, stream => WriteTo(stream, header, ordered));
    }

    /// <summary>The bytes of a file that <see cref="Write"/> would write.</summary>
    /// <exception cref="ArgumentException">Two tensors have one name, or one is named <c>__metadata__</c>.</exception>
    /// <exception cref="NotSupportedException">They would be more than 2 GiB.</exception>
    public static byte[] ToBytes(IEnumerable<HostTensor> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        HostTensor[] ordered = Order(tensors);
        ReadOnlyMemory<byte> header = BuildHeader(ordered, metadata);
        long size = sizeof(ulong) + header.Length + ordered.Sum(tensor => (long)tensor.Data.Length);
        if (size > Array.MaxLength) throw new NotSupportedException($"The tensors have {size} bytes; at most {Array.MaxLength} fit into one array.");
        byte[] bytes = GC.AllocateUninitializedArray<byte>((int)size);
        WriteTo(new MemoryStream(bytes), header, ordered);
        return bytes;
    }

    private static HostTensor[] Order(IEnumerable<HostTensor> tensors) =>
        [.. tensors.OrderByDescending(tensor => tensor.DataType.Size()).ThenBy(tensor => tensor.Name, StringComparer.Ordinal)];

    private static void WriteTo(Stream stream, ReadOnlyMemory<byte> header, HostTensor[] ordered)
    {
        Span<byte> prefix = stackalloc byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(prefix, (ulong)header.Length);
        stream.Write(prefix);
        stream.Write(header.Span);
        foreach (HostTensor tensor in ordered) stream.Write(tensor.Data.Span);
    }

    private static ReadOnlyMemory<byte> BuildHeader(HostTensor[] tensors, IReadOnlyDictionary<string, string>? metadata)
    {
        HashSet<string> names = [SafetensorsHeader.MetadataKey];
        ArrayBufferWriter<byte> buffer = new();
        using (Utf8JsonWriter json = new(buffer))
        {
            json.WriteStartObject();
            if (metadata is { Count: > 0 }) WriteMetadata(json, metadata);
            long offset = 0;
            foreach (HostTensor tensor in tensors)
            {
                if (!names.Add(tensor.Name)) throw new ArgumentException($"The tensor name '{tensor.Name}' is taken.", nameof(tensors));
                WriteEntry(json, tensor, offset);
                offset += tensor.Data.Length;
            }

            json.WriteEndObject();
        }

        // The data begins at a multiple of 8, as the reference implementation has it; trailing spaces are part of the header.
        int padding = -buffer.WrittenCount & 7;
        buffer.GetSpan(padding)[..padding].Fill((byte)' ');
        buffer.Advance(padding);
        return buffer.WrittenMemory;
    }

    private static void WriteMetadata(Utf8JsonWriter json, IReadOnlyDictionary<string, string> metadata)
    {
        json.WriteStartObject(SafetensorsHeader.MetadataKey);
        foreach ((string key, string value) in metadata.OrderBy(item => item.Key, StringComparer.Ordinal)) json.WriteString(key, value);
        json.WriteEndObject();
    }

    private static void WriteEntry(Utf8JsonWriter json, HostTensor tensor, long offset)
    {
        json.WriteStartObject(tensor.Name);
        json.WriteString("dtype", StoredDataType.Of(tensor.DataType).Code);
        json.WriteStartArray("shape");
        foreach (long dimension in tensor.Shape) json.WriteNumberValue(dimension);
        json.WriteEndArray();
        json.WriteStartArray("data_offsets");
        json.WriteNumberValue(offset);
        json.WriteNumberValue(offset + tensor.Data.Length);
        json.WriteEndArray();
        json.WriteEndObject();
    }
}
