using System.Text.Json;

namespace Lab.Models.Folders;

/// <summary>A JSON object of a model's config, read field by field. What is missing, or of another type, is an error that names file and field.</summary>
internal sealed class ConfigJson
{
    private const int MaxBytes = 16 << 20;

    private readonly string _file;
    private readonly string _prefix;
    private readonly JsonElement _object;

    private ConfigJson(string file, string prefix, JsonElement element) => (_file, _prefix, _object) = (file, prefix, element);

    /// <summary>Reads a file.</summary>
    /// <exception cref="InvalidDataException">It is no JSON object.</exception>
    public static ConfigJson Read(string file)
    {
        long length = new FileInfo(file).Length;
        if (length > MaxBytes) throw new InvalidDataException($"{file} has {length} bytes; at most {MaxBytes} are allowed.");
        try
        {
            // NaN and infinities stand in some files of Hugging Face, never in a field that is read here.
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(file), new JsonDocumentOptions { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip });
            return document.RootElement.ValueKind == JsonValueKind.Object
                ? new ConfigJson(file, "", document.RootElement.Clone())
                : throw new InvalidDataException($"{file} is a JSON {document.RootElement.ValueKind}, not an object.");
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"{file} is not valid JSON: {e.Message}", e);
        }
    }

    /// <summary>Whether the field is there and not null.</summary>
    public bool Has(string name) => Find(name) is not null;

    /// <summary>Whether the field is there, null or not.</summary>
    public bool HasField(string name) => TryGet(name, out _);

    /// <summary>An integer that must be there.</summary>
    public int Int(string name) => IntOrNull(name) ?? throw Missing(name);

    /// <summary>An integer, or what stands for a missing or null one.</summary>
    public int Int(string name, int missing) => IntOrNull(name) ?? missing;

    /// <summary>An integer, or null.</summary>
    public int? IntOrNull(string name) => Find(name) is not { } value ? null
        : value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) && number == Math.Floor(number) && Math.Abs(number) <= int.MaxValue ? (int)number
        : throw Wrong(name, "an integer of 32 bits");

    /// <summary>A number, or what stands for a missing or null one.</summary>
    public double Number(string name, double missing) => NumberOrNull(name) ?? missing;

    /// <summary>A number, or null.</summary>
    public double? NumberOrNull(string name) => Find(name) is not { } value ? null
        : value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) && double.IsFinite(number) ? number
        : throw Wrong(name, "a finite number");

    /// <summary>A truth value, or what stands for a missing or null one.</summary>
    public bool Flag(string name, bool missing) => FlagOrNull(name) ?? missing;

    /// <summary>A truth value, or null.</summary>
    public bool? FlagOrNull(string name) => Find(name) is not { } value ? null
        : value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean()
        : throw Wrong(name, "true or false");

    /// <summary>A text, or null.</summary>
    public string? Text(string name) => Find(name) is not { } value ? null
        : value.ValueKind == JsonValueKind.String ? Unicode(value.GetString)
        : throw Wrong(name, "a string");

    /// <summary>A list of texts, or null.</summary>
    public IReadOnlyList<string>? Texts(string name)
    {
        if (Find(name) is not { } value) return null;
        if (value.ValueKind != JsonValueKind.Array || value.EnumerateArray().Any(item => item.ValueKind != JsonValueKind.String)) throw Wrong(name, "a list of strings");
        return [.. value.EnumerateArray().Select(item => Unicode(item.GetString)!)];
    }

    /// <summary>An object, or null.</summary>
    public ConfigJson? Object(string name) => Find(name) is not { } value ? null
        : value.ValueKind == JsonValueKind.Object ? new ConfigJson(_file, $"{_prefix}{name}.", value)
        : throw Wrong(name, "an object");

    /// <summary>What to throw for a setting that no model here has.</summary>
    public InvalidDataException Unsupported(string name, string reason) => new($"{_file}: {_prefix}{name} {reason}.");

    private JsonElement? Find(string name) => TryGet(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : null;

    private bool TryGet(string name, out JsonElement value)
    {
        JsonElement found = default;
        bool isThere = Unicode(() => _object.TryGetProperty(name, out found));
        value = found;
        return isThere;
    }

    /// <summary>Names and texts are decoded only when they are looked at: what is not UTF-8 or UTF-16 surfaces here.</summary>
    private T Unicode<T>(Func<T> read)
    {
        try
        {
            return read();
        }
        catch (InvalidOperationException e)
        {
            throw new InvalidDataException($"{_file} has a name or a text that is not valid Unicode: {e.Message}", e);
        }
    }

    private InvalidDataException Missing(string name) => new($"{_file} has no {_prefix}{name}.");

    private InvalidDataException Wrong(string name, string expected) => new($"{_file}: {_prefix}{name} must be {expected}, not {Shortened(_object.GetProperty(name).GetRawText())}.");

    private static string Shortened(string text) => text.Length <= 40 ? text : text[..40] + "...";
}
