using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Lab.Models.Tokenizers;

/// <summary>words.json: the words of a <see cref="WordTokenizer"/> in order of their ids.</summary>
internal sealed record WordTokenizerFile(int Format, string[] Words)
{
    private const int CurrentFormat = 1;

    private static readonly JsonSerializerOptions _json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        WriteIndented = true,
        NewLine = "\n",
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    public static void Save(WordTokenizer tokenizer, string path) =>
        File.WriteAllText(path, JsonSerializer.Serialize(new WordTokenizerFile(CurrentFormat, tokenizer.Words.ToArray()), _json) + "\n");

    public static WordTokenizer Load(string path)
    {
        WordTokenizerFile? file;
        try
        {
            file = JsonSerializer.Deserialize<WordTokenizerFile>(File.ReadAllBytes(path), _json);
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"{path} is malformed: {e.Message}", e);
        }

        if (file is not { Format: CurrentFormat, Words: not null }) throw new InvalidDataException($"{path} is not a list of words of format {CurrentFormat}.");
        foreach (string word in file.Words)
        {
            if (!IsPiece(word)) throw new InvalidDataException($"{path}: '{word}' is not one word, number or mark.");
        }

        return file.Words.Distinct(StringComparer.Ordinal).Count() == file.Words.Length
            ? new WordTokenizer(file.Words)
            : throw new InvalidDataException($"{path} holds a word twice.");
    }

    private static bool IsPiece(string? word)
    {
        if (string.IsNullOrEmpty(word)) return false;
        var pieces = WordPieces.Of(word);
        return pieces.MoveNext() && pieces.Current.Length == word.Length;
    }
}
