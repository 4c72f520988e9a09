using Lab.Models.Corpora;

namespace Lab.CircuitAnalysis.Tasks;

/// <summary>
/// Close the string that is open as the last argument of a call with the quote that opened it: <c>print("hello world</c> goes on with
/// <c>")</c>, and <c>print('hello world</c> with <c>')</c>. The double quote is the positive prompt.
/// </summary>
internal sealed class SingleDoubleQuoteTask : CircuitTask
{
    private const int LowerCasePercent = 85;

    /// <inheritdoc/>
    public override string Name => "single_double_quote";

    /// <inheritdoc/>
    protected override TaskText Draw(SeededRandom random, PromptSplit split)
    {
        QuoteVocabulary words = QuoteVocabulary.Of(split);
        string before = Context(random, words) + random.Pick(words.Calls);
        string phrase = Phrase(random, words);
        if (!random.Chance(LowerCasePercent)) phrase = char.ToUpperInvariant(phrase[0]) + phrase[1..];
        return new TaskText($"{before}\"{phrase}", "\")\n", $"{before}'{phrase}", "')\n");
    }

    /// <summary>No, one or two lines before the call, and the call's indentation.</summary>
    private static string Context(SeededRandom random, QuoteVocabulary words) => random.Next(10) switch
    {
        < 4 => "",
        < 6 => random.Pick(words.Lines) + "\n",
        < 8 => random.Pick(words.Blocks) + "\n    ",
        < 9 => random.Pick(words.Lines) + "\n" + random.Pick(words.Blocks) + "\n    ",
        _ => random.Pick(words.Blocks) + "\n    " + random.Pick(words.Lines) + "\n    ",
    };

    private static string Phrase(SeededRandom random, QuoteVocabulary words)
    {
        string noun = random.Pick(words.Nouns);
        return random.Next(8) switch
        {
            0 => noun,
            1 => $"{random.Pick(words.Qualities)} {noun}",
            2 => $"{random.Pick(words.Actions)} {noun}",
            3 => $"{noun} {random.Pick(words.Links)} {random.Pick(words.Outcomes)}",
            4 => $"{random.Pick(words.Actions)} {random.Pick(words.Qualities)} {noun}",
            5 => $"{noun} {random.Pick(words.Nouns)}",
            6 => $"{random.Pick(words.Qualities)} {noun} {random.Pick(words.Outcomes)}",
            _ => $"{random.Pick(words.Qualities)} {noun} {random.Pick(words.Links)} {random.Pick(words.Outcomes)}",
        };
    }
}
