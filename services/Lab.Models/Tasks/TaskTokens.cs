using System.Diagnostics.CodeAnalysis;
using Lab.Models.Corpora;
using Lab.Models.Tokenizers;

namespace Lab.Models.Tasks;

/// <summary>
/// Pairs of prompts as tokens. Targets may be several tokens: what is compared are the log-probabilities of the first token in which the two
/// ways of going on differ, after all tokens that they share.
/// </summary>
public static class TaskTokens
{
    private const int AttemptsPerPair = 40;

    /// <summary>
    /// Makes distinct pairs. Equal arguments give equal pairs on every machine, and a smaller count gives the first of them. Pairs that the
    /// tokenizer makes undecidable are left out: prompts whose own tokens change once a target follows, since the deciding token is merged
    /// with its context, and targets that differ in no token.
    /// </summary>
    /// <param name="tokenizer">The model's tokenizer; BOS is added where it says so.</param>
    /// <param name="task">The task.</param>
    /// <param name="seed">Decides which pairs.</param>
    /// <param name="count">How many pairs.</param>
    /// <param name="split">Which templates and words.</param>
    /// <param name="maxTokens">The longest prompt.</param>
    /// <param name="equalLength">Whether the two prompts of a pair must have equally many tokens.</param>
    /// <exception cref="ArgumentException">The tokenizer and the length do not allow so many pairs; the message says what is in the way.</exception>
    public static IReadOnlyList<TokenizedPair> Pairs(
        ITokenizer tokenizer, PythonTask task, long seed, int count, PromptSplit split, int maxTokens = int.MaxValue, bool equalLength = false)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentNullException.ThrowIfNull(task);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        var random = new SeededRandom(seed, (task.Index << 2) + (long)split);
        var pairs = new List<TokenizedPair>(count);
        var seen = new HashSet<string>(StringComparer.Ordinal);
        string obstacle = "no more distinct prompts";
        for (long attempt = 0; pairs.Count < count; attempt++)
        {
            if (attempt >= 1000 + (long)count * AttemptsPerPair)
            {
                throw new ArgumentException($"The tokenizer allows only {pairs.Count} distinct pairs of '{task.Name}' where {count} were asked for: {obstacle}.", nameof(count));
            }

            PromptPair pair = task.Draw(random, split);
            if (TryTokenize(tokenizer, pair, maxTokens, equalLength, out TokenizedPair? tokenized, out string? reason))
            {
                if (seen.Add(pair.A.Text)) pairs.Add(tokenized);
            }
            else
            {
                obstacle = reason;
            }
        }

        return pairs;
    }

    private static bool TryTokenize(
        ITokenizer tokenizer, PromptPair pair, int maxTokens, bool equalLength, [NotNullWhen(true)] out TokenizedPair? tokenized, [NotNullWhen(false)] out string? obstacle)
    {
        tokenized = null;
        if (!TryTokenize(tokenizer, pair.A, pair.B, maxTokens, out TokenizedPrompt? a, out obstacle)) return false;
        if (!TryTokenize(tokenizer, pair.B, pair.A, maxTokens, out TokenizedPrompt? b, out obstacle)) return false;
        if (equalLength && a.Tokens.Length != b.Tokens.Length)
        {
            obstacle = $"the prompts '{a.Text}' and '{b.Text}' have {a.Tokens.Length} and {b.Tokens.Length} tokens";
            return false;
        }

        tokenized = new TokenizedPair(a, b);
        return true;
    }

    private static bool TryTokenize(
        ITokenizer tokenizer, PythonPrompt prompt, PythonPrompt other, int maxTokens, [NotNullWhen(true)] out TokenizedPrompt? tokenized, [NotNullWhen(false)] out string? obstacle)
    {
        (tokenized, obstacle) = (null, null);

        // Whole programs, since a token may reach behind a target: of ' =' and ' ==' both may begin with the token ' ='.
        int[] text = Encode(prompt.Text), right = Encode(prompt.Program), wrong = Encode(prompt.Text + prompt.Alternative + other.Rest);
        int common = right.AsSpan().CommonPrefixLength(wrong);
        if (!right.AsSpan().StartsWith(text) || !wrong.AsSpan().StartsWith(text))
        {
            obstacle = $"it merges the token that decides with its context in '{prompt.Text}', followed by '{prompt.Target}' or '{prompt.Alternative}'";
        }
        else if (common >= right.Length || common >= wrong.Length)
        {
            obstacle = $"'{prompt.Target}' and '{prompt.Alternative}' after '{prompt.Text}' differ in no token";
        }
        else if (common > maxTokens)
        {
            obstacle = $"'{prompt.Text}' has {common} tokens where at most {maxTokens} are allowed";
        }
        else
        {
            tokenized = new TokenizedPrompt(prompt.Text, right[..common], right[common], wrong[common]);
        }

        return obstacle is null;

        int[] Encode(string s) => tokenizer.Encode(s, EncodeOptions.Default).Ids;
    }
}
