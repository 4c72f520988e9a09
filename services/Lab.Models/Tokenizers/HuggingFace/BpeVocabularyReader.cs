using System.Text.Json;

namespace Lab.Models.Tokenizers.HuggingFace;

/// <summary>Reads the <c>model</c> part of a tokenizer.json as it streams by: it may hold half a million merges.</summary>
internal static class BpeVocabularyReader
{
    /// <summary>Reads the object at which the reader stands, to its end.</summary>
    public static BpeVocabulary Read(ref Utf8JsonReader reader, string file)
    {
        if (reader.TokenType != JsonTokenType.StartObject) throw Error(file, "$.model", "is not an object");
        var vocabulary = new BpeVocabulary();
        Utf8JsonReader merges = default;
        bool hasMerges = false;
        bool hasVocabulary = false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string name = reader.GetString()!;
            string path = $"$.model.{name}";
            _ = reader.Read();
            switch (name)
            {
                case "type":
                    if (TextOrNull(ref reader, file, path) is not ("BPE" or null) and var type) throw Error(file, path, $"is '{type}', which is not supported: only BPE is");
                    break;
                case "vocab":
                    ReadTokens(ref reader, file, path, vocabulary.Ids);
                    hasVocabulary = true;
                    break;
                case "merges":
                    merges = reader;
                    hasMerges = true;
                    reader.Skip();
                    break;
                case "unk_token":
                    vocabulary.UnknownToken = TextOrNull(ref reader, file, path);
                    break;
                case "fuse_unk":
                    vocabulary.FusesUnknown = Flag(ref reader, file, path);
                    break;
                case "byte_fallback":
                    vocabulary.HasByteFallback = Flag(ref reader, file, path);
                    break;
                case "ignore_merges":
                    vocabulary.IgnoresMerges = Flag(ref reader, file, path);
                    break;
                case "dropout":
                    if (reader.TokenType != JsonTokenType.Null && !(reader.TokenType == JsonTokenType.Number && reader.TryGetDouble(out double dropout) && dropout == 0))
                    {
                        throw Error(file, path, "is not supported: encoding would be random");
                    }

                    break;
                case "continuing_subword_prefix" or "end_of_word_suffix":
                    if (TextOrNull(ref reader, file, path) is { Length: > 0 } affix) throw Error(file, path, $"is '{affix}', which is not supported");
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }

        if (!hasVocabulary || vocabulary.Ids.Count == 0) throw Error(file, "$.model", "has no 'vocab'");
        if (!hasMerges) throw Error(file, "$.model", "has no 'merges'");
        ReadMerges(merges, file, vocabulary);
        if (vocabulary.UnknownToken is { } unknown && !vocabulary.Ids.ContainsKey(unknown)) throw Error(file, "$.model.unk_token", $"is '{unknown}', which the vocabulary does not have");
        return vocabulary;
    }

    /// <summary>Reads an object of tokens and their ids.</summary>
    public static void ReadTokens(ref Utf8JsonReader reader, string file, string path, Dictionary<string, int> ids)
    {
        if (reader.TokenType != JsonTokenType.StartObject) throw Error(file, path, "is not an object of tokens and ids");
        var seen = new HashSet<int>();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string token = reader.GetString()!;
            _ = reader.Read();
            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt32(out int id) || id < 0) throw Error(file, $"{path}['{token}']", "is not a token id");
            if (!seen.Add(id)) throw Error(file, $"{path}['{token}']", $"is {id}, as another token's id is");
            if (token.Length > 0 && !ids.TryAdd(token, id)) throw Error(file, $"{path}['{token}']", "stands there twice");
        }
    }

    // The reader is a copy that stands at the merges: the vocabulary they need may come after them in the file.
    private static void ReadMerges(Utf8JsonReader reader, string file, BpeVocabulary vocabulary)
    {
        if (reader.TokenType != JsonTokenType.StartArray) throw Error(file, "$.model.merges", "is not an array");
        char[] left = new char[64];
        char[] right = new char[64];
        for (int i = 0; reader.Read() && reader.TokenType != JsonTokenType.EndArray; i++)
        {
            ReadOnlySpan<char> l;
            ReadOnlySpan<char> r;
            if (reader.TokenType == JsonTokenType.StartArray)
            {
                _ = reader.Read();
                int leftLength = Copy(ref reader, ref left, file, i);
                _ = reader.Read();
                int rightLength = Copy(ref reader, ref right, file, i);
                if (!reader.Read() || reader.TokenType != JsonTokenType.EndArray) throw Error(file, $"$.model.merges[{i}]", "is not a pair of tokens");
                l = left.AsSpan(0, leftLength);
                r = right.AsSpan(0, rightLength);
            }
            else
            {
                int length = Copy(ref reader, ref left, file, i);
                int space = left.AsSpan(0, length).IndexOf(' ');
                if (space < 0 || left.AsSpan(0, length)[(space + 1)..].Contains(' ')) throw Error(file, $"$.model.merges[{i}]", "is not two tokens with a space between");
                l = left.AsSpan(0, space);
                r = left.AsSpan((space + 1)..length);
            }

            if (!vocabulary.TryAddMerge(l, r)) throw Error(file, $"$.model.merges[{i}]", $"joins '{l}' and '{r}', which the vocabulary does not have, or not joined");
        }
    }

    private static int Copy(scoped ref Utf8JsonReader reader, ref char[] buffer, string file, int merge)
    {
        if (reader.TokenType != JsonTokenType.String) throw Error(file, $"$.model.merges[{merge}]", "is not a pair of tokens");
        if (buffer.Length < reader.ValueSpan.Length) buffer = new char[reader.ValueSpan.Length];
        return reader.CopyString(buffer);
    }

    private static string? TextOrNull(ref Utf8JsonReader reader, string file, string path) => reader.TokenType switch
    {
        JsonTokenType.Null => null,
        JsonTokenType.String => reader.GetString(),
        _ => throw Error(file, path, "is not a string"),
    };

    private static bool Flag(ref Utf8JsonReader reader, string file, string path) => reader.TokenType switch
    {
        JsonTokenType.True => true,
        JsonTokenType.False or JsonTokenType.Null => false,
        _ => throw Error(file, path, "is neither true nor false"),
    };

    private static InvalidDataException Error(string file, string path, string fault) => new($"{file}: {path} {fault}.");
}
