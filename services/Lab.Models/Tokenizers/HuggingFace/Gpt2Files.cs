using System.Text.Json;

namespace Lab.Models.Tokenizers.HuggingFace;

/// <summary>Reads GPT-2's own tokenizer files as if they were a tokenizer.json.</summary>
internal static class Gpt2Files
{
    private const string EndOfText = "<|endoftext|>";

    /// <param name="vocabularyPath">The JSON object of tokens and ids.</param>
    /// <param name="mergesPath">The list of merges, one a line.</param>
    /// <param name="config">What the files beside say.</param>
    /// <param name="isSparse">Whether text is split as openai/circuit_sparsity's tinypython_2k is, not as GPT-2's.</param>
    public static ITokenizer Load(string vocabularyPath, string mergesPath, TokenizerConfig config, bool isSparse)
    {
        var vocabulary = new BpeVocabulary();
        string file = Path.GetFileName(vocabularyPath);
        try
        {
            var reader = new Utf8JsonReader(JsonPlace.ReadBytes(vocabularyPath, TokenizerJson.MaxBytes));
            _ = reader.Read();
            BpeVocabularyReader.ReadTokens(ref reader, file, "$", vocabulary.Ids);
            _ = reader.Read();
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new InvalidDataException($"{file} is not a JSON object of tokens and ids: {e.Message}", e);
        }

        if (vocabulary.Ids.Count == 0) throw new InvalidDataException($"{file} has no tokens.");
        ReadMerges(mergesPath, vocabulary);
        AddedToken[] added = vocabulary.Ids.TryGetValue(EndOfText, out int id) ? [new AddedToken(id, EndOfText, IsSpecial: true)] : [];
        PreTokenizer split = isSparse
            ? new SplitPreTokenizer(new CodePointRegex(PreTokens.Expression), SplitBehavior.Isolated, invert: false)
            : new ByteLevelPreTokenizer(config.AddsPrefixSpace ?? false, useRegex: true);
        if (added.Length > 0) config = config.WithDefaults(EndOfText);
        return new JsonTokenizer(new TokenizerJson(vocabulary, added, null, split, IsByteLevel: true, [new ByteLevelDecoder()], SequenceTemplate.Empty), config);
    }

    private static void ReadMerges(string path, BpeVocabulary vocabulary)
    {
        int line = 0;
        foreach (string text in File.ReadLines(path))
        {
            line++;
            if (text.Length == 0 || (line == 1 && text.StartsWith("#version", StringComparison.Ordinal))) continue;
            int space = text.IndexOf(' ', StringComparison.Ordinal);
            if (space < 0 || !vocabulary.TryAddMerge(text.AsSpan(0, space), text.AsSpan(space + 1)))
            {
                throw new InvalidDataException($"{Path.GetFileName(path)}: line {line} is not a pair of tokens that the vocabulary has, also joined.");
            }
        }
    }
}
