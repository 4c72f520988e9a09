using System.Diagnostics.CodeAnalysis;
using System.Text.Json;

namespace Lab.Models.Tokenizers.HuggingFace;

/// <summary>An element of a JSON file with its path, so that an error can say where it is.</summary>
internal readonly record struct JsonPlace(JsonElement Element, string File, string Path)
{
    /// <summary>The largest file that <see cref="Read"/> takes: those beside a tokenizer have some kilobytes, or list added tokens.</summary>
    private const int MaxBytes = 64 << 20;

    /// <summary>Reads a small JSON file.</summary>
    public static JsonPlace Read(string path)
    {
        string file = System.IO.Path.GetFileName(path);
        try
        {
            using var document = JsonDocument.Parse(ReadBytes(path, MaxBytes));
            return new JsonPlace(document.RootElement.Clone(), file, "$");
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"{file} is not JSON: {e.Message}", e);
        }
    }

    /// <summary>The bytes of a file that is not larger than it may be.</summary>
    /// <exception cref="InvalidDataException">It is; then none is read.</exception>
    public static byte[] ReadBytes(string path, int maxBytes)
    {
        long length = new FileInfo(path).Length;
        return length <= maxBytes ? System.IO.File.ReadAllBytes(path) : throw new InvalidDataException($"{System.IO.Path.GetFileName(path)} has {length} bytes; at most {maxBytes} are allowed.");
    }

    /// <summary>The value of <c>type</c>.</summary>
    public string Type => Get("type").Text;

    /// <summary>The string that stands here.</summary>
    public string Text
    {
        get
        {
            if (Element.ValueKind != JsonValueKind.String) throw Error("is not a string");
            try
            {
                return Element.GetString()!;
            }
            catch (InvalidOperationException e)
            {
                throw new InvalidDataException($"{File}: {Path} is not valid Unicode.", e);
            }
        }
    }

    /// <summary>The id that stands here: a whole number from 0.</summary>
    public int Id => Element.ValueKind == JsonValueKind.Number && Element.TryGetInt32(out int id) && id >= 0 ? id : throw Error("is not a token id");

    /// <summary>The elements of the array that stands here.</summary>
    public IEnumerable<JsonPlace> Items
    {
        get
        {
            if (Element.ValueKind != JsonValueKind.Array) throw Error("is not an array");
            JsonPlace self = this;
            return Element.EnumerateArray().Select((item, i) => self with { Element = item, Path = $"{self.Path}[{i}]" });
        }
    }

    /// <summary>The properties of the object that stands here.</summary>
    public IEnumerable<(string Name, JsonPlace Value)> Properties
    {
        get
        {
            if (Element.ValueKind != JsonValueKind.Object) throw Error("is not an object");
            JsonPlace self = this;
            return Element.EnumerateObject().Select(p => (self.NameOf(p), self with { Element = p.Value, Path = $"{self.Path}.{self.NameOf(p)}" }));
        }
    }

    /// <summary>A property, unless it is missing or null.</summary>
    public bool Has(string name, out JsonPlace value)
    {
        if (Element.ValueKind != JsonValueKind.Object) throw Error("is not an object");
        bool isThere = TryGet(name, out JsonElement element) && element.ValueKind != JsonValueKind.Null;
        value = new JsonPlace(element, File, $"{Path}.{name}");
        return isThere;
    }

    private bool TryGet(string name, out JsonElement element)
    {
        try
        {
            return Element.TryGetProperty(name, out element);
        }
        catch (InvalidOperationException e)
        {
            throw NotUnicode(e);
        }
    }

    private string NameOf(JsonProperty property)
    {
        try
        {
            return property.Name;
        }
        catch (InvalidOperationException e)
        {
            throw NotUnicode(e);
        }
    }

    private InvalidDataException NotUnicode(InvalidOperationException e) => new($"{File}: {Path} has a name that is not valid Unicode.", e);

    /// <summary>A property that must be there.</summary>
    public JsonPlace Get(string name) => Has(name, out JsonPlace value) ? value : throw Error($"has no '{name}'");

    /// <summary>A boolean property.</summary>
    public bool Flag(string name, bool absent = false) => FlagOrNull(name) ?? absent;

    /// <summary>A boolean property; null where it is missing.</summary>
    public bool? FlagOrNull(string name) => !Has(name, out JsonPlace value) ? null : value.Element.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => throw value.Error("is neither true nor false"),
    };

    /// <summary>A fault at this place.</summary>
    public InvalidDataException Error(string fault) => new($"{File}: {Path} {fault}.");

    /// <summary>What is here is valid, but not supported.</summary>
    public InvalidDataException Unsupported([AllowNull] string what) => Error($"is '{what}', which is not supported");
}
