using System.Diagnostics.CodeAnalysis;
using Lab.Models.Corpora;
using Lab.Models.Tokenizers;

namespace Lab.CircuitAnalysis.Tasks;

/// <summary>A task whose circuit can be searched for: a source of prompt pairs between which a model must tell (Gao et al. 2025, table 1).</summary>
internal abstract class CircuitTask
{
    private const int AttemptsPerPair = 40;

    /// <summary>All tasks.</summary>
    public static IReadOnlyList<CircuitTask> All { get; } = [new SingleDoubleQuoteTask()];

    /// <summary>The task's name, as in the paper.</summary>
    public abstract string Name { get; }

    /// <summary>The task of a name.</summary>
    /// <param name="name">Such as "single_double_quote".</param>
    /// <param name="field">The request's field that the name comes from, for the error.</param>
    /// <exception cref="ArgumentException">There is none of this name; the message lists those there are.</exception>
    public static CircuitTask Get(string name, string field = "config.task") => All.FirstOrDefault(task => task.Name == name)
        ?? throw new ArgumentException($"There is no task '{name}'; there is {string.Join(", ", All.Select(task => task.Name))}.", field);

    /// <summary>
    /// Makes distinct pairs. Equal arguments give equal pairs on every machine, and a smaller count gives the first of them. Left out are
    /// pairs that the tokenizer makes unequal: prompts of different token length, prompts whose tokens change once the answer follows,
    /// and answers that begin with the same token.
    /// </summary>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="count">How many pairs.</param>
    /// <param name="seed">Decides which.</param>
    /// <param name="split">Whose words to use.</param>
    /// <param name="maxTokens">The longest prompt.</param>
    /// <exception cref="ArgumentException">The tokenizer and the length do not allow so many pairs.</exception>
    public IReadOnlyList<PromptPair> GeneratePairs(LabTokenizer tokenizer, int count, long seed, PromptSplit split, int maxTokens)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        var random = new SeededRandom(seed, (long)split);
        var pairs = new List<PromptPair>(count);
        var seen = new HashSet<string>(StringComparer.Ordinal);
        for (long attempt = 0; pairs.Count < count; attempt++)
        {
            if (attempt >= 1000 + (long)count * AttemptsPerPair)
            {
                throw new ArgumentException($"The tokenizer allows only {pairs.Count} distinct pairs of prompts of at most {maxTokens} tokens where {count} were asked for.", nameof(count));
            }

            TaskText text = Draw(random, split);
            if (TryPair(tokenizer, text, maxTokens, out PromptPair? pair) && seen.Add(pair.PositiveText)) pairs.Add(pair);
        }

        return pairs;
    }

    /// <summary>Draws the texts of one pair.</summary>
    protected abstract TaskText Draw(SeededRandom random, PromptSplit split);

    private static bool TryPair(LabTokenizer tokenizer, TaskText text, int maxTokens, [NotNullWhen(true)] out PromptPair? pair)
    {
        pair = null;
        int[] positive = tokenizer.Encode(text.Positive), negative = tokenizer.Encode(text.Negative);
        if (positive.Length != negative.Length || positive.Length > maxTokens) return false;
        if (!TryAnswer(tokenizer, positive, text.Positive + text.PositiveEnd, out int positiveAnswer)) return false;
        if (!TryAnswer(tokenizer, negative, text.Negative + text.NegativeEnd, out int negativeAnswer)) return false;
        if (positiveAnswer == negativeAnswer) return false;
        pair = new PromptPair(text.Positive, text.Negative, positive, negative, positiveAnswer, negativeAnswer);
        return true;
    }

    private static bool TryAnswer(LabTokenizer tokenizer, int[] prompt, string continued, out int answer)
    {
        int[] tokens = tokenizer.Encode(continued);
        bool isPrefix = tokens.Length > prompt.Length && tokens.AsSpan().StartsWith(prompt);
        answer = isPrefix ? tokens[prompt.Length] : -1;
        return isPrefix;
    }

    /// <summary>Two prompts, and how each goes on rightly.</summary>
    protected readonly record struct TaskText(string Positive, string PositiveEnd, string Negative, string NegativeEnd);
}
