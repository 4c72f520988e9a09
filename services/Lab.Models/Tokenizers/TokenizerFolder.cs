using Lab.Models.Tokenizers.HuggingFace;

namespace Lab.Models.Tokenizers;

/// <summary>Finds the tokenizer of a model's folder.</summary>
public static class TokenizerFolder
{
    private static readonly (string Vocabulary, string Merges)[] _files = [("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe")];

    /// <summary>
    /// Reads the tokenizer of a folder: <c>tokenizer.json</c> of Hugging Face (byte-level BPE, or BPE with byte fallback as made
    /// from SentencePiece), with what tokenizer_config.json, special_tokens_map.json and generation_config.json say; else
    /// the lab's own <c>words.json</c>; else <c>vocab.json</c> and <c>merges.txt</c>, or <c>encoder.json</c> and <c>vocab.bpe</c>, split as GPT-2 does; in a folder with a
    /// config.json of this lab, or a beeg_config.json, as <see cref="LabTokenizer"/> does.
    /// </summary>
    /// <returns>The tokenizer; null where the folder has none.</returns>
    /// <exception cref="InvalidDataException">A file is malformed or holds what is not supported; the message names the file and the JSON path.</exception>
    public static ITokenizer? Load(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        string json = Path.Combine(folder, TokenizerJson.FileName);
        if (File.Exists(json))
        {
            var config = TokenizerConfig.Read(folder);
            return new JsonTokenizer(TokenizerJson.Read(json, config.AddsPrefixSpace), config);
        }

        string words = Path.Combine(folder, WordTokenizer.FileName);
        if (File.Exists(words)) return WordTokenizer.Load(words);
        foreach ((string vocabulary, string merges) in _files)
        {
            (string vocabularyPath, string mergesPath) = (Path.Combine(folder, vocabulary), Path.Combine(folder, merges));
            if (!File.Exists(vocabularyPath) || !File.Exists(mergesPath)) continue;
            if (IsOfThisLab(folder)) return LabTokenizer.Load(vocabularyPath, mergesPath);
            return Gpt2Files.Load(vocabularyPath, mergesPath, TokenizerConfig.Read(folder), isSparse: File.Exists(Path.Combine(folder, "beeg_config.json")));
        }

        return null;
    }

    /// <summary>Whether the folder's model was trained here, which its config says; those of before it did have no <c>model_type</c>.</summary>
    private static bool IsOfThisLab(string folder)
    {
        string path = Path.Combine(folder, "config.json");
        if (!File.Exists(path)) return false;
        JsonPlace config = JsonPlace.Read(path);
        return config.Has("model_type", out JsonPlace type) ? type.Text == "lab" : config.Has("d_model", out _);
    }
}
