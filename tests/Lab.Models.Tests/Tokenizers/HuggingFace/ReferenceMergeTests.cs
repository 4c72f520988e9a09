using System.Text;
using System.Text.Json;
using Lab.Models.Tokenizers;
using Lab.Testing;

namespace Lab.Models.Tests.Tokenizers.HuggingFace;

/// <summary>Random vocabularies, encoded as byte-pair encoding is defined: each merge in turn, over the whole text.</summary>
public sealed class ReferenceMergeTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Encode_RandomCharacterVocabularies_AppliesMergesByRank()
    {
        for (int seed = 0; seed < 150; seed++)
        {
            var random = new Random(seed);
            string[] alphabet = ["a", "b", "c", "\u2581", "é", "😀"];
            List<string> tokens = [.. Enumerable.Range(0, 256).Select(b => $"<0x{b:X2}>"), .. alphabet];
            List<(string Left, string Right)> merges = RandomMerges(random, tokens, tokens[256..]);
            ITokenizer tokenizer = Load(tokens, merges, """
                "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"},
                "decoder": {"type": "ByteFallback"}
                """, "\"byte_fallback\": true");
            string text = RandomText(random, ["a", "b", "c", " ", "é", "😀", "日", "\n"], random.Next(1, 400));

            List<string> word = [];
            foreach (Rune rune in text.Replace(' ', '\u2581').EnumerateRunes())
            {
                if (alphabet.Contains(rune.ToString())) word.Add(rune.ToString());
                else word.AddRange(Encoding.UTF8.GetBytes(rune.ToString()).Select(b => $"<0x{b:X2}>"));
            }

            Check(tokenizer, text, tokens, Merge(word, merges), seed);
        }
    }

    [Fact]
    public void Encode_RandomByteVocabularies_AppliesMergesByRank()
    {
        for (int seed = 0; seed < 150; seed++)
        {
            var random = new Random(seed);
            List<string> tokens = [.. Enumerable.Range(0, 256).Select(b => ByteAlphabet.CharacterOf((byte)b).ToString())];
            List<string> few = [.. "ab c"u8.ToArray().Concat(Encoding.UTF8.GetBytes("é日")).Select(b => ByteAlphabet.CharacterOf(b).ToString())];
            List<(string Left, string Right)> merges = RandomMerges(random, tokens, few);
            ITokenizer tokenizer = Load(tokens, merges, """
                "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}
                """, "\"ignore_merges\": false");
            string text = RandomText(random, ["a", "b", "c", " ", "é", "日", "x"], random.Next(1, 400));

            List<string> word = [.. Encoding.UTF8.GetBytes(text).Select(b => ByteAlphabet.CharacterOf(b).ToString())];
            Check(tokenizer, text, tokens, Merge(word, merges), seed);
        }
    }

    [Fact]
    public void Encode_PieceOfAMillionCharacters_IsMergedWhole()
    {
        List<string> tokens = [.. Enumerable.Range(0, 256).Select(b => ByteAlphabet.CharacterOf((byte)b).ToString()), "aa", "aaaa"];
        ITokenizer tokenizer = Load(tokens, [("a", "a"), ("aa", "aa")], """
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}
            """, "\"ignore_merges\": false");

        int[] ids = tokenizer.Encode(new string('a', 1_000_003), EncodeOptions.Default).Ids;

        ids[..^2].ShouldAllBe(id => id == 257);
        ids[^2..].ShouldBe([256, tokens.IndexOf("a")]);
        ids.Length.ShouldBe(250_002);
    }

    [Fact]
    public void Encode_MergeThatStandsTwice_CountsAtItsSecondPlace()
    {
        List<string> tokens = ["a", "b", "c", "ab", "bc", "ca"];
        ITokenizer tokenizer = Load(tokens, [("a", "b"), ("b", "c"), ("a", "b"), ("c", "a")], "\"decoder\": {\"type\": \"Fuse\"}", "\"unk_token\": null");

        tokenizer.Encode("abc", EncodeOptions.Default).Ids.Select(id => tokens[id]).ShouldBe(["a", "bc"]);
        tokenizer.Encode("cab", EncodeOptions.Default).Ids.Select(id => tokens[id]).ShouldBe(["c", "ab"]);
    }

    /// <summary>Merges of two tokens each; some make a token that is there already.</summary>
    private static List<(string Left, string Right)> RandomMerges(Random random, List<string> tokens, List<string> from)
    {
        var merges = new List<(string Left, string Right)>();
        List<string> pool = [.. from];
        for (int i = 0; i < 40; i++)
        {
            (string left, string right) = (pool[random.Next(pool.Count)], pool[random.Next(pool.Count)]);
            if (merges.Contains((left, right)) || left.Length + right.Length > 12) continue;
            merges.Add((left, right));
            if (tokens.Contains(left + right)) continue;
            tokens.Add(left + right);
            pool.Add(left + right);
        }

        return merges;
    }

    private static string RandomText(Random random, string[] alphabet, int length) => string.Concat(Enumerable.Range(0, length).Select(_ => alphabet[random.Next(alphabet.Length)]));

    /// <summary>Merges, again and again, the leftmost pair of the lowest rank.</summary>
    private static List<string> Merge(List<string> word, List<(string Left, string Right)> merges)
    {
        var ranks = merges.Select((merge, rank) => (merge, rank)).ToDictionary(m => m.merge, m => m.rank);
        while (true)
        {
            int best = -1;
            for (int i = 0; i + 1 < word.Count; i++)
            {
                if (ranks.TryGetValue((word[i], word[i + 1]), out int rank) && (best < 0 || rank < ranks[(word[best], word[best + 1])])) best = i;
            }

            if (best < 0) return word;
            word[best] += word[best + 1];
            word.RemoveAt(best + 1);
        }
    }

    private static void Check(ITokenizer tokenizer, string text, List<string> tokens, List<string> expected, int seed) =>
        tokenizer.Encode(text, EncodeOptions.Default).Ids.Select(id => tokens[id]).ShouldBe(expected, $"seed {seed}");

    private ITokenizer Load(List<string> tokens, List<(string Left, string Right)> merges, string parts, string model)
    {
        string vocabulary = JsonSerializer.Serialize(tokens.Select((token, id) => (token, id)).ToDictionary(t => t.token, t => t.id));
        string pairs = JsonSerializer.Serialize(merges.Select(merge => new[] { merge.Left, merge.Right }));
        File.WriteAllText(_folder["tokenizer.json"], $$"""{ {{parts}}, "model": {"type": "BPE", {{model}}, "vocab": {{vocabulary}}, "merges": {{pairs}}} }""");
        return TokenizerFolder.Load(_folder.Path).ShouldNotBeNull();
    }
}
