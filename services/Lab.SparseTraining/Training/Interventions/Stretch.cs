namespace Lab.SparseTraining.Training.Interventions;

/// <summary>Positions of a sequence that a rule means.</summary>
/// <param name="Start">The first.</param>
/// <param name="End">The one after the last.</param>
/// <param name="Vector">The vector that a word of the sequence chose; null where none did.</param>
internal readonly record struct Stretch(int Start, int End, int? Vector = null)
{
    /// <summary>Finds a rule's stretches in a sequence.</summary>
    /// <param name="rule">The rule.</param>
    /// <param name="tokens">The sequence and, where it is known, the token that follows it: the word after a phrase may be that.</param>
    /// <param name="length">The sequence's length.</param>
    public static IReadOnlyList<Stretch> Of(InterventionRule rule, ReadOnlySpan<int> tokens, int length)
    {
        List<Stretch> all = rule.Phrase.Count > 0 ? AroundWords(rule, tokens) : FromMarkers(rule, tokens[..length]);
        return [.. all.Select(one => one with { End = Math.Min(one.End, length) }).Where(one => one.Start < one.End)];
    }

    private static List<Stretch> FromMarkers(InterventionRule rule, ReadOnlySpan<int> tokens)
    {
        if (rule.FromTokenId is not { } from) return [new Stretch(0, EndOf(rule, tokens, 0))];
        List<Stretch> all = [];
        for (int start = 0; start < tokens.Length; start++)
        {
            if (tokens[start] != from) continue;
            int end = EndOf(rule, tokens, start);
            all.Add(new Stretch(start, end));
            start = end - 1;
        }

        return all;
    }

    private static List<Stretch> AroundWords(InterventionRule rule, ReadOnlySpan<int> tokens)
    {
        int[] phrase = [.. rule.Phrase];
        List<Stretch> all = [];
        for (int at = 0; at + phrase.Length < tokens.Length; at++)
        {
            int word = at + phrase.Length;
            if (!tokens[at..word].SequenceEqual(phrase) || !rule.VectorOfToken.TryGetValue(tokens[word], out int vector)) continue;
            int start = rule.FromTokenId is { } from ? Math.Max(0, tokens[..(at + 1)].LastIndexOf(from)) : 0;
            all.Add(new Stretch(start, EndOf(rule, tokens, word), vector));
        }

        return all;
    }

    /// <summary>After the first of the rule's last tokens from a position on, else after the last token.</summary>
    private static int EndOf(InterventionRule rule, ReadOnlySpan<int> tokens, int from)
    {
        int found = rule.UntilTokenId is { } until ? tokens[from..].IndexOf(until) : -1;
        return found < 0 ? tokens.Length : from + found + 1;
    }
}
