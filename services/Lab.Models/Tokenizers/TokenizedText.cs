namespace Lab.Models.Tokenizers;

/// <summary>A text as tokens.</summary>
/// <param name="Text">The text; an unpaired surrogate in it was read as U+FFFD.</param>
/// <param name="Ids">The token ids.</param>
/// <param name="Spans">
/// What each token covers of the text. Spans come in the order of the text and leave no gap; tokens that are parts of one
/// character all cover that character; a token that was added, or stands for an added space alone, covers nothing.
/// </param>
/// <param name="Bos">Whether and why BOS is the first token.</param>
/// <param name="EosAdded">Whether the tokenizer's post-processor put EOS at the end.</param>
public sealed record TokenizedText(string Text, int[] Ids, TextSpan[] Spans, BosState Bos, bool EosAdded)
{
    /// <summary>The index of the first token that covers a position of the text; null where none does.</summary>
    /// <param name="offset">A UTF-16 index into the text.</param>
    public int? TokenAt(int offset) => TokenPositions.At(Spans, offset);

    /// <summary>The indexes of the tokens that cover a part of a span, in order.</summary>
    public IReadOnlyList<int> TokensOf(TextSpan span) => TokenPositions.Of(Spans, span);

    /// <summary>The span of an occurrence of a substring in the text, compared by code units; occurrences may overlap. Null if there are not so many.</summary>
    /// <param name="substring">What to look for; not empty.</param>
    /// <param name="occurrence">Which, from 0; negative counts from the last, -1.</param>
    public TextSpan? Find(string substring, int occurrence = 0) => TokenPositions.Find(Text, substring, occurrence);
}
