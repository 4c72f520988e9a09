using System.Text.Json;

namespace Lab.Tensors;

/// <summary>The parsed and checked JSON header of a safetensors file.</summary>
internal sealed record SafetensorsHeader(Dictionary<string, SafetensorsEntry> Entries, Dictionary<string, string> Metadata)
{
    internal const string MetadataKey = "__metadata__";

    private static readonly JsonDocumentOptions _strict = new() { AllowDuplicateProperties = false };

    internal static string ToCode(TensorDataType type) => type switch
    {
        TensorDataType.Float32 => "F32",
        TensorDataType.Float16 => "F16",
        TensorDataType.BFloat16 => "BF16",
        TensorDataType.Float64 => "F64",
        TensorDataType.Int64 => "I64",
        TensorDataType.Int32 => "I32",
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "Not an element type."),
    };

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
            if (item.Value.ValueKind != JsonValueKind.String) throw new MalformedHeaderException($"{MetadataKey} entry '{item.Name}' is not a string.");
            metadata.Add(item.Name, item.Value.GetString()!);
        }
    }

    private static SafetensorsEntry ReadEntry(string name, JsonElement value, long dataStart, long fileLength)
    {
        if (value.ValueKind != JsonValueKind.Object) throw new MalformedHeaderException($"tensor '{name}' is a JSON {value.ValueKind}, not an object.");
        TensorDataType? type = null;
        long[]? shape = null;
        long[]? offsets = null;
        foreach (JsonProperty property in value.EnumerateObject())
        {
            switch (property.Name)
            {
                case "dtype": type = ReadType(name, property.Value); break;
                case "shape": shape = ReadIntegers(name, property); break;
                case "data_offsets": offsets = ReadIntegers(name, property); break;
                default: throw new MalformedHeaderException($"tensor '{name}' has the unknown key '{property.Name}'.");
            }
        }

        if (type is null || shape is null || offsets is null)
            throw new MalformedHeaderException($"tensor '{name}' lacks dtype, shape or data_offsets.");
        if (!TensorShape.TryCount(shape, type.Value.Size(), out long count, out string? error))
            throw new MalformedHeaderException($"the shape of tensor '{name}' {error}.");
        if (offsets is not [long begin, long end] || begin < 0 || end < begin || end > fileLength - dataStart)
            throw new MalformedHeaderException($"tensor '{name}' has data_offsets {TensorShape.Format(offsets)}, which do not lie within the file's {fileLength - dataStart} bytes of data.");
        if (end - begin != count * type.Value.Size())
            throw new MalformedHeaderException($"tensor '{name}' of shape {TensorShape.Format(shape)} and type {type} needs {count * type.Value.Size()} bytes, but has {end - begin}.");
        return new SafetensorsEntry(name, type.Value, shape, dataStart + begin, end - begin);
    }

    private static TensorDataType ReadType(string name, JsonElement value)
    {
        string? code = value.ValueKind == JsonValueKind.String ? value.GetString() : value.GetRawText();
        foreach (TensorDataType type in Enum.GetValues<TensorDataType>())
        {
            if (code == ToCode(type)) return type;
        }

        throw new MalformedHeaderException($"tensor '{name}' has the unknown type {code}; known are {string.Join(", ", Enum.GetValues<TensorDataType>().Select(ToCode))}.");
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

    /// <summary>Carries a reason up to where the path is known.</summary>
    private sealed class MalformedHeaderException(string message) : Exception(message);
}
