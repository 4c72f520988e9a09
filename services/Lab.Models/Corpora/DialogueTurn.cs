using Lab.Models.Tokenizers;

namespace Lab.Models.Corpora;

/// <summary>A turn of a dialogue, as a range of tokens.</summary>
/// <param name="IsAssistant">Whether the assistant speaks; else the user does.</param>
/// <param name="Start">The index of the marker that begins the turn, <c>&lt;|user|&gt;</c> or <c>&lt;|assistant|&gt;</c>.</param>
/// <param name="End">The index after the turn's last token, which is <c>&lt;|end|&gt;</c> where the turn is whole.</param>
public readonly record struct DialogueTurn(bool IsAssistant, int Start, int End)
{
    /// <summary>
    /// Finds the turns in tokens, such as a row of a batch. Markers are single tokens that words never become. Tokens before the first
    /// marker are the end of a turn that was cut, and are no turn.
    /// </summary>
    public static IReadOnlyList<DialogueTurn> Find(ReadOnlySpan<long> tokens, WordTokenizer tokenizer)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        var turns = new List<DialogueTurn>();
        int? start = null;
        for (int i = 0; i < tokens.Length; i++)
        {
            bool begins = tokens[i] == WordTokenizer.User || tokens[i] == WordTokenizer.Assistant;
            if (start is { } open && (begins || tokens[i] == WordTokenizer.EndOfTurn || tokens[i] == tokenizer.EndOfText))
            {
                turns.Add(new DialogueTurn(tokens[open] == WordTokenizer.Assistant, open, tokens[i] == WordTokenizer.EndOfTurn ? i + 1 : i));
                start = null;
            }

            if (begins) start = i;
        }

        if (start is { } last) turns.Add(new DialogueTurn(tokens[last] == WordTokenizer.Assistant, last, tokens.Length));
        return turns;
    }
}
