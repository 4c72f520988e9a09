using System.Text.Json;

namespace Lab.Models.Tokenizers.HuggingFace;

/// <summary>What a tokenizer.json holds. Its <c>truncation</c> and <c>padding</c> are left to requests.</summary>
internal sealed record TokenizerJson(
    BpeVocabulary Vocabulary,
    IReadOnlyList<AddedToken> AddedTokens,
    TextNormalizer? Normalizer,
    PreTokenizer? PreTokenizer,
    bool IsByteLevel,
    IReadOnlyList<TokenDecoder> Decoders,
    SequenceTemplate Template)
{
    public const string FileName = "tokenizer.json";

    /// <summary>The largest file that is read; that of Gemma, with 262,144 tokens, has 33 MB.</summary>
    public const int MaxBytes = 512 << 20;

    /// <summary>Reads a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="addPrefixSpace">Whether byte-level BPE puts a space before a text; null leaves that to the file.</param>
    /// <exception cref="InvalidDataException">It is malformed, or holds what is not supported; the message has the JSON path.</exception>
    public static TokenizerJson Read(string path, bool? addPrefixSpace)
    {
        string file = Path.GetFileName(path);
        var parts = new Dictionary<string, JsonPlace>(StringComparer.Ordinal);
        BpeVocabulary? vocabulary = null;
        try
        {
            // Read forward, since the model part of a large vocabulary would be some hundred megabytes of JsonDocument.
            var reader = new Utf8JsonReader(JsonPlace.ReadBytes(path, MaxBytes));
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject) throw new InvalidDataException($"{file} is not a JSON object.");
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                string name = reader.GetString()!;
                _ = reader.Read();
                if (name == "model") vocabulary = BpeVocabularyReader.Read(ref reader, file);
                else parts[name] = new JsonPlace(JsonElement.ParseValue(ref reader), file, $"$.{name}");
            }

            if (reader.Read()) throw new InvalidDataException($"{file} holds more than a JSON object.");
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // The reader throws InvalidOperationException for text that is not Unicode.
            throw new InvalidDataException($"{file} is not JSON: {e.Message}", e);
        }

        if (vocabulary is null) throw new InvalidDataException($"{file}: $ has no 'model'.");
        JsonPlace? preTokenizer = Find("pre_tokenizer");
        bool isByteLevel = preTokenizer is { } place && PreTokenizerReader.IsByteLevel(place);
        return new TokenizerJson(
            vocabulary,
            ReadAddedTokens(Find("added_tokens"), vocabulary),
            Find("normalizer") is { } normalizer ? NormalizerReader.Read(normalizer) : null,
            preTokenizer is { } split ? PreTokenizerReader.Read(split, addPrefixSpace) : null,
            isByteLevel,
            Find("decoder") is { } decoder ? DecoderReader.Read(decoder) : isByteLevel ? [new ByteLevelDecoder()] : throw new InvalidDataException($"{file}: $ has no 'decoder'."),
            Find("post_processor") is { } processor ? SequenceTemplate.Read(processor) : SequenceTemplate.Empty);

        JsonPlace? Find(string name) => parts.TryGetValue(name, out JsonPlace part) && part.Element.ValueKind != JsonValueKind.Null ? part : null;
    }

    private static List<AddedToken> ReadAddedTokens(JsonPlace? tokens, BpeVocabulary vocabulary)
    {
        var added = new List<AddedToken>();
        foreach (JsonPlace token in tokens?.Items ?? [])
        {
            AddedToken read = AddedToken.Read(token, token.Get("id").Id);
            if (vocabulary.Ids.TryGetValue(read.Content, out int id) && id != read.Id) throw token.Get("id").Error($"is {read.Id}, but the vocabulary has '{read.Content}' as {id}");
            added.Add(read);
        }

        return added;
    }
}
