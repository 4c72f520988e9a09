using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Lab.Models.Tokenizers;

/// <summary>GPT-2's tokenizer files: vocab.json maps each token to its id, merges.txt lists the merges in order.</summary>
internal static class TokenizerFiles
{
    public const string VocabFile = "vocab.json";
    public const string MergesFile = "merges.txt";

    private static readonly JsonWriterOptions _json = new() { Indented = true, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static void Save(LabTokenizer tokenizer, string folder)
    {
        using (FileStream stream = File.Create(Path.Combine(folder, VocabFile)))
        using (var json = new Utf8JsonWriter(stream, _json))
        {
            json.WriteStartObject();
            for (int id = 0; id < tokenizer.VocabSize; id++) json.WriteNumber(tokenizer.WrittenToken(id), id);
            json.WriteEndObject();
        }

        var merges = new StringBuilder("#version: 0.2\n");
        foreach ((int left, int right) in tokenizer.Merges)
        {
            merges.Append(tokenizer.WrittenToken(left)).Append(' ').Append(tokenizer.WrittenToken(right)).Append('\n');
        }

        File.WriteAllText(Path.Combine(folder, MergesFile), merges.ToString());
    }

    public static LabTokenizer Load(string vocabPath, string mergesPath)
    {
        Dictionary<string, int> ids = ReadVocabulary(vocabPath);
        byte[][] tokens = new byte[ids.Count - 1][];
        foreach ((string written, int id) in ids)
        {
            if (id == tokens.Length) continue;
            tokens[id] = ToBytes(written) ?? throw new InvalidDataException($"{vocabPath}: token {id} is not written in GPT-2's byte alphabet.");
        }

        List<(int Left, int Right)> merges = ReadMerges(mergesPath, ids);
        CheckClosed(tokens, merges, vocabPath, mergesPath);
        return new LabTokenizer(tokens, merges);
    }

    private static Dictionary<string, int> ReadVocabulary(string path)
    {
        Dictionary<string, int>? ids;
        try
        {
            ids = JsonSerializer.Deserialize<Dictionary<string, int>>(File.ReadAllBytes(path));
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"{path} is not a JSON object of tokens and ids: {e.Message}", e);
        }

        if (ids is null || ids.Count < BpeTrainer.MinVocabSize) throw new InvalidDataException($"{path} holds fewer than {BpeTrainer.MinVocabSize} tokens.");
        if (ids.GetValueOrDefault(LabTokenizer.EndOfTextToken, -1) != ids.Count - 1) throw new InvalidDataException($"{path}: the last of the {ids.Count} ids is not {LabTokenizer.EndOfTextToken}.");
        if (!ids.Values.Order().SequenceEqual(Enumerable.Range(0, ids.Count))) throw new InvalidDataException($"{path}: the ids are not 0 to {ids.Count - 1}, each once.");
        return ids;
    }

    private static List<(int Left, int Right)> ReadMerges(string path, Dictionary<string, int> ids)
    {
        var merges = new List<(int Left, int Right)>();
        int line = 0;
        foreach (string text in File.ReadLines(path))
        {
            line++;
            if (text.Length == 0 || (line == 1 && text.StartsWith("#version", StringComparison.Ordinal))) continue;
            string[] sides = text.Split(' ');
            if (sides.Length != 2 || !ids.TryGetValue(sides[0], out int left) || !ids.TryGetValue(sides[1], out int right))
            {
                throw new InvalidDataException($"{path}: line {line} is not a pair of tokens of the vocabulary.");
            }

            merges.Add((left, right));
        }

        return merges;
    }

    /// <summary>Every byte has a token, and every other token is what its merge makes; else some text could not be encoded.</summary>
    private static void CheckClosed(byte[][] tokens, List<(int Left, int Right)> merges, string vocabPath, string mergesPath)
    {
        if (merges.Count != tokens.Length - 256) throw new InvalidDataException($"{mergesPath} holds {merges.Count} merges where {vocabPath} needs {tokens.Length - 256}.");
        if (tokens.Where(t => t.Length == 1).Select(t => t[0]).Distinct().Count() != 256) throw new InvalidDataException($"{vocabPath} does not hold all 256 bytes.");
        var made = new HashSet<string>(merges.Select(m => Convert.ToHexString(tokens[m.Left]) + Convert.ToHexString(tokens[m.Right])), StringComparer.Ordinal);
        for (int id = 0; id < tokens.Length; id++)
        {
            if (tokens[id].Length > 1 && !made.Contains(Convert.ToHexString(tokens[id]))) throw new InvalidDataException($"{mergesPath} has no merge that makes token {id}.");
        }
    }

    private static byte[]? ToBytes(string written)
    {
        byte[] bytes = new byte[written.Length];
        for (int i = 0; i < written.Length; i++)
        {
            if (!ByteAlphabet.TryGetByte(written[i], out bytes[i])) return null;
        }

        return bytes;
    }
}
