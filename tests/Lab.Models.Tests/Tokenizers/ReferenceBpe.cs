using System.Text;
using System.Text.RegularExpressions;
using Lab.Models.Tokenizers;

namespace Lab.Models.Tests.Tokenizers;

/// <summary>BPE as it is defined, slow and plain: tokens are strings of Latin-1 characters that stand for bytes.</summary>
internal static class ReferenceBpe
{
    /// <summary>The texts of the tokens that training makes (ASCII only), counting every pair anew for each merge.</summary>
    public static IEnumerable<string> TrainByRecounting(string[] texts, int vocabSize)
    {
        List<string> tokens = [.. Enumerable.Range(0, 256).Select(id => ((char)ByteAlphabet.ByteOf(id)).ToString())];
        List<List<string>> words = [.. texts.SelectMany(Pieces).Select(p => p.Select(c => c.ToString()).ToList())];
        var rejected = new HashSet<(string, string)>();
        while (tokens.Count < vocabSize - 1)
        {
            var best = words.SelectMany(w => w.Zip(w.Skip(1))).GroupBy(p => p).Where(g => g.Count() >= 2 && !rejected.Contains(g.Key))
                .OrderByDescending(g => g.Count()).ThenBy(g => tokens.IndexOf(g.Key.First)).ThenBy(g => tokens.IndexOf(g.Key.Second)).FirstOrDefault();
            if (best is null) break;
            (string left, string right) = best.Key;
            if (tokens.Contains(left + right))
            {
                rejected.Add(best.Key);
                continue;
            }

            tokens.Add(left + right);
            foreach (List<string> word in words) MergeAll(word, left, right);
        }

        return tokens.Skip(256);
    }

    /// <summary>Encodes by applying each merge to the whole piece, in the order of the merges.</summary>
    public static List<int> Encode(LabTokenizer tokenizer, string text)
    {
        Dictionary<string, int> ids = Enumerable.Range(0, tokenizer.EndOfText).ToDictionary(tokenizer.WrittenToken);
        var result = new List<int>();
        foreach (string piece in Pieces(text))
        {
            List<string> word = [.. Encoding.UTF8.GetBytes(piece).Select(b => ByteAlphabet.CharacterOf(b).ToString())];
            foreach ((int left, int right) in tokenizer.Merges) MergeAll(word, tokenizer.WrittenToken(left), tokenizer.WrittenToken(right));
            result.AddRange(word.Select(w => ids[w]));
        }

        return result;
    }

    private static IEnumerable<string> Pieces(string text) => Regex.Matches(text, PreTokens.Expression).Select(m => m.Value);

    private static void MergeAll(List<string> word, string left, string right)
    {
        for (int i = 0; i + 1 < word.Count; i++)
        {
            if (word[i] != left || word[i + 1] != right) continue;
            word[i] = left + right;
            word.RemoveAt(i + 1);
        }
    }
}
