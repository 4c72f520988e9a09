using System.Buffers;
using System.Buffers.Binary;
using System.Text.Json;
using TorchSharp;

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
        Entry[] ordered = Order(tensors.Select(EntryOf));
        ReadOnlyMemory<byte> header = BuildHeader(ordered, metadata);
        WholeFile.Write(path, stream => WriteTo(stream, header, ordered));
    }

    /// <summary>As the other, of libtorch's tensors: those on the CPU are not copied.</summary>
    /// <param name="path">The file to write; an existing one is replaced. Its folder must exist.</param>
    /// <param name="tensors">The tensors by key.</param>
    /// <param name="metadata">Strings for the header's <c>__metadata__</c>; none by default.</param>
    /// <exception cref="ArgumentException">Two tensors have one name, one is named <c>__metadata__</c>, or one's type has no counterpart.</exception>
    /// <exception cref="IOException">The file cannot be written, such as when the disk is full; nothing is left behind.</exception>
    public static void Write(string path, IEnumerable<(string Name, torch.Tensor Tensor)> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        using PendingFile file = Begin(path, tensors, metadata);
        file.Commit();
    }

    /// <summary>As <see cref="Write(string, IEnumerable{ValueTuple{string, torch.Tensor}}, IReadOnlyDictionary{string, string})"/>, but for what waits for the disk: on return the tensors may change.</summary>
    /// <param name="path">The file to write; an existing one is replaced once the file is committed. Its folder must exist.</param>
    /// <param name="tensors">The tensors by key.</param>
    /// <param name="metadata">Strings for the header's <c>__metadata__</c>; none by default.</param>
    /// <param name="create">Creates a file that must not exist; a seam.</param>
    /// <returns>To commit and to dispose.</returns>
    /// <inheritdoc cref="Write(string, IEnumerable{ValueTuple{string, torch.Tensor}}, IReadOnlyDictionary{string, string})"/>
    public static PendingFile Begin(
        string path, IEnumerable<(string Name, torch.Tensor Tensor)> tensors, IReadOnlyDictionary<string, string>? metadata = null, Func<string, Stream>? create = null)
    {
        Entry[] ordered = Order(tensors.Select(item => EntryOf(item.Name, item.Tensor)));
        ReadOnlyMemory<byte> header = BuildHeader(ordered, metadata);
        return WholeFile.Begin(path, stream => WriteTo(stream, header, ordered), create);
    }

    /// <summary>The bytes of a file that <see cref="Write"/> would write.</summary>
    /// <exception cref="ArgumentException">Two tensors have one name, or one is named <c>__metadata__</c>.</exception>
    /// <exception cref="NotSupportedException">They would be more than 2 GiB.</exception>
    public static byte[] ToBytes(IEnumerable<HostTensor> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        Entry[] ordered = Order(tensors.Select(EntryOf));
        ReadOnlyMemory<byte> header = BuildHeader(ordered, metadata);
        long size = sizeof(ulong) + header.Length + ordered.Sum(tensor => tensor.ByteCount);
        if (size > Array.MaxLength) throw new NotSupportedException($"The tensors have {size} bytes; at most {Array.MaxLength} fit into one array.");
        byte[] bytes = GC.AllocateUninitializedArray<byte>((int)size);
        WriteTo(new MemoryStream(bytes), header, ordered);
        return bytes;
    }

    private static Entry EntryOf(HostTensor tensor) => new(tensor.Name, tensor.DataType, tensor.Shape, tensor.Data.Length, stream => stream.Write(tensor.Data.Span));

    private static Entry EntryOf(string name, torch.Tensor tensor) =>
        new(name, tensor.HostType(name), tensor.shape, tensor.numel() * tensor.element_size(), stream => tensor.ReadBytes(stream.Write));

    private static Entry[] Order(IEnumerable<Entry> tensors) =>
        [.. tensors.OrderByDescending(tensor => tensor.DataType.Size()).ThenBy(tensor => tensor.Name, StringComparer.Ordinal)];

    private static void WriteTo(Stream stream, ReadOnlyMemory<byte> header, Entry[] ordered)
    {
        Span<byte> prefix = stackalloc byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(prefix, (ulong)header.Length);
        stream.Write(prefix);
        stream.Write(header.Span);
        foreach (Entry tensor in ordered) tensor.Write(stream);
    }

    private static ReadOnlyMemory<byte> BuildHeader(Entry[] tensors, IReadOnlyDictionary<string, string>? metadata)
    {
        HashSet<string> names = [SafetensorsHeader.MetadataKey];
        ArrayBufferWriter<byte> buffer = new();
        using (Utf8JsonWriter json = new(buffer))
        {
            json.WriteStartObject();
            if (metadata is { Count: > 0 }) WriteMetadata(json, metadata);
            long offset = 0;
            foreach (Entry tensor in tensors)
            {
                if (!names.Add(tensor.Name)) throw new ArgumentException($"The tensor name '{tensor.Name}' is taken.", nameof(tensors));
                WriteEntry(json, tensor, offset);
                offset += tensor.ByteCount;
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

    private static void WriteEntry(Utf8JsonWriter json, Entry tensor, long offset)
    {
        json.WriteStartObject(tensor.Name);
        json.WriteString("dtype", StoredDataType.Of(tensor.DataType).Code);
        json.WriteStartArray("shape");
        foreach (long dimension in tensor.Shape) json.WriteNumberValue(dimension);
        json.WriteEndArray();
        json.WriteStartArray("data_offsets");
        json.WriteNumberValue(offset);
        json.WriteNumberValue(offset + tensor.ByteCount);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private sealed record Entry(string Name, TensorDataType DataType, long[] Shape, long ByteCount, Action<Stream> Write);
}
