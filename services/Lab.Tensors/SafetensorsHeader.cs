using System.Text.Json;

namespace Lab.Tensors;

/// <summary>The parsed and checked JSON header of a safetensors file.</summary>
internal sealed record SafetensorsHeader(Dictionary<string, SafetensorsEntry> Entries, Dictionary<string, string> Metadata)
{
    internal const string MetadataKey = "__metadata__";

    private const int MaxNameLength = 1024;

    private static readonly JsonDocumentOptions _strict = new() { AllowDuplicateProperties = false };

    /// <summary>Parses a header and proves that its tensors cover the rest of the file exactly once.</summary>
    internal static SafetensorsHeader Parse(byte[] json, long fileLength, string path)
    {
        long dataStart = sizeof(ulong) + json.Length;
        try
        {
            using JsonDocument document = JsonDocument.Parse(json, _strict);
            SafetensorsHeader header = Read(document.RootElement, dataStart, fileLength);
            header.CheckCover(dataStart, fileLength);
            return header;
        }
        // Strings that are not valid UTF-8 or UTF-16 surface as InvalidOperationException.
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            throw new InvalidDataException($"{path}: the header is not valid JSON: {exception.Message}", exception);
        }
        catch (MalformedHeaderException exception)
        {
            throw new InvalidDataException($"{path}: {exception.Message}", exception);
        }
    }

    private static SafetensorsHeader Read(JsonElement root, long dataStart, long fileLength)
    {
        if (root.ValueKind != JsonValueKind.Object) throw new MalformedHeaderException($"the header is a JSON {root.ValueKind}, not an object.");
        Dictionary<string, SafetensorsEntry> entries = [];
        Dictionary<string, string> metadata = [];
        foreach (JsonProperty property in root.EnumerateObject())
        {
            if (property.Name == MetadataKey) ReadMetadata(property.Value, metadata);
            else entries.Add(property.Name, ReadEntry(property.Name, property.Value, dataStart, fileLength));
        }

        return new SafetensorsHeader(entries, metadata);
    }

    private static void ReadMetadata(JsonElement value, Dictionary<string, string> metadata)
    {
        if (value.ValueKind != JsonValueKind.Object) throw new MalformedHeaderException($"{MetadataKey} is a JSON {value.ValueKind}, not an object.");
        foreach (JsonProperty item in value.EnumerateObject())
        {
            if (item.Value.ValueKind != JsonValueKind.String) throw new MalformedHeaderException($"{MetadataKey} entry '{Clip(item.Name)}' is not a string.");
            metadata.Add(item.Name, item.Value.GetString()!);
        }
    }

    private static SafetensorsEntry ReadEntry(string name, JsonElement value, long dataStart, long fileLength)
    {
        // Names stand in error messages, and those in the trailers of calls.
        if (name.Length > MaxNameLength) throw new MalformedHeaderException($"the name of tensor '{Clip(name)}' has {name.Length} characters; at most {MaxNameLength} are allowed.");
        if (value.ValueKind != JsonValueKind.Object) throw new MalformedHeaderException($"tensor '{name}' is a JSON {value.ValueKind}, not an object.");
        StoredDataType? type = null;
        long[]? shape = null;
        long[]? offsets = null;
        foreach (JsonProperty property in value.EnumerateObject())
        {
            switch (property.Name)
            {
                case "dtype": type = ReadType(name, property.Value); break;
                case "shape": shape = ReadIntegers(name, property); break;
                case "data_offsets": offsets = ReadIntegers(name, property); break;
                default: throw new MalformedHeaderException($"tensor '{name}' has the unknown key '{Clip(property.Name)}'.");
            }
        }

        if (type is null || shape is null || offsets is null)
            throw new MalformedHeaderException($"tensor '{name}' lacks dtype, shape or data_offsets.");
        if (!TensorShape.TryCount(shape, type.Bytes, out long count, out string? error))
            throw new MalformedHeaderException($"the shape of tensor '{name}' {error}.");
        if (offsets is not [long begin, long end] || begin < 0 || end < begin || end > fileLength - dataStart)
            throw new MalformedHeaderException($"tensor '{name}' has data_offsets {Text(offsets)}, which do not lie within the file's {fileLength - dataStart} bytes of data.");
        Int128 bits = (Int128)count * type.Bits;
        if (bits % 8 != 0)
            throw new MalformedHeaderException($"tensor '{name}' of shape {TensorShape.Format(shape)} and type {type} does not fill whole bytes.");
        if (end - begin != bits / 8)
            throw new MalformedHeaderException($"tensor '{name}' of shape {TensorShape.Format(shape)} and type {type} needs {bits / 8} bytes, but has {end - begin}.");
        return new SafetensorsEntry(name, type, shape, dataStart + begin, end - begin);
    }

    private static StoredDataType ReadType(string name, JsonElement value)
    {
        string code = value.ValueKind == JsonValueKind.String ? value.GetString()! : value.GetRawText();
        return StoredDataType.Find(code)
            ?? throw new MalformedHeaderException($"tensor '{name}' has the unknown type {Clip(code)}; known are {string.Join(", ", StoredDataType.Codes)}.");
    }

    private static long[] ReadIntegers(string name, JsonProperty property)
    {
        if (property.Value.ValueKind != JsonValueKind.Array) throw new MalformedHeaderException($"{property.Name} of tensor '{name}' is not an array.");
        List<long> integers = [];
        foreach (JsonElement item in property.Value.EnumerateArray())
        {
            if (item.ValueKind != JsonValueKind.Number || !item.TryGetInt64(out long integer))
                throw new MalformedHeaderException($"{property.Name} of tensor '{name}' holds something else than 64-bit integers.");
            integers.Add(integer);
        }

        return [.. integers];
    }

    private void CheckCover(long dataStart, long fileLength)
    {
        long position = dataStart;
        foreach (SafetensorsEntry entry in Entries.Values.OrderBy(entry => entry.Offset).ThenBy(entry => entry.ByteCount))
        {
            if (entry.Offset < position) throw new MalformedHeaderException($"tensor '{entry.Name}' overlaps another at byte {entry.Offset}.");
            if (entry.Offset > position) throw new MalformedHeaderException($"the {entry.Offset - position} bytes before tensor '{entry.Name}' belong to no tensor.");
            position += entry.ByteCount;
        }

        if (position != fileLength) throw new MalformedHeaderException($"the last {fileLength - position} bytes belong to no tensor.");
    }

    private static string Text(long[] integers) => Clip(TensorShape.Format(integers));

    private static string Clip(string text) => text.Length <= 100 ? text : $"{text.AsSpan(0, 100)}...";

    /// <summary>Carries a reason up to where the path is known.</summary>
    private sealed class MalformedHeaderException(string message) : Exception(message);
}
