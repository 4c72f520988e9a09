using System.Buffers;
using System.Text;

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
    /// <summary>Whether the text was made by a chat template, markers included, and not sent as it is.</summary>
    public bool IsRendered { get; init; }

    /// <summary>The spans counted in code points, as Python indexes strings.</summary>
    public TextSpan[] CodePointSpans()
    {
        int[] before = new int[Text.Length + 1];
        for (int i = 0; i < Text.Length; i++) before[i + 1] = before[i] + (i > 0 && char.IsSurrogatePair(Text[i - 1], Text[i]) ? 0 : 1);
        return [.. Spans.Select(span => new TextSpan(before[span.Start], before[span.End]))];
    }

    /// <summary>The index of the first token that covers a position of the text; null where none does.</summary>
    /// <param name="offset">A UTF-16 index into the text.</param>
    public int? TokenAt(int offset) => TokenPositions.At(Spans, offset);

    /// <summary>The indexes of the tokens that cover a part of a span, in order.</summary>
    public IReadOnlyList<int> TokensOf(TextSpan span) => TokenPositions.Of(Spans, [span]);

    /// <summary>The span of an occurrence of a substring in the text, compared by code units, occurrences not overlapping. Null if there are not so many.</summary>
    /// <param name="substring">What to look for; not empty.</param>
    /// <param name="occurrence">Which, from 0; negative counts from the last, -1.</param>
    public TextSpan? Find(string substring, int occurrence = 0)
    {
        TextSpan[] found = [.. TokenPositions.FindAll(Text, substring)];
        int index = occurrence < 0 ? found.Length + occurrence : occurrence;
        return (uint)index < (uint)found.Length ? found[index] : null;
    }

    /// <summary>The indexes of the tokens that cover a part of a substring, in order, each once; empty if the text does not have it.</summary>
    /// <param name="substring">What to look for; not empty.</param>
    /// <param name="occurrence">Which occurrence, as in <see cref="Find"/>; null for all.</param>
    public IReadOnlyList<int> TokensOf(string substring, int? occurrence = null) => occurrence is { } one
        ? Find(substring, one) is { } span ? TokensOf(span) : []
        : TokenPositions.Of(Spans, [.. TokenPositions.FindAll(Text, substring)]);

    /// <summary>
    /// Tokens as the text that their bytes make, and what each covers of it. A special token is its text; a leading space is
    /// kept; bytes that are not UTF-8 are U+FFFD. BOS is told of as <see cref="BosState.InText"/> where it is the first token.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">An id is not in the vocabulary.</exception>
    public static TokenizedText FromIds(ITokenizer tokenizer, ReadOnlySpan<int> ids)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        var bytes = new ArrayBufferWriter<byte>(Math.Max(16, ids.Length * 4));
        int[] ends = new int[ids.Length];
        for (int i = 0; i < ids.Length; i++)
        {
            bytes.Write(tokenizer.TokenBytes(ids[i]));
            ends[i] = bytes.WrittenCount;
        }

        // For each byte the character it belongs to: one that is not UTF-8 shares U+FFFD with those that are wrong together.
        var text = new StringBuilder(bytes.WrittenCount);
        TextSpan[] characters = new TextSpan[bytes.WrittenCount];
        for (int at = 0, consumed; at < characters.Length; at += consumed)
        {
            _ = Rune.DecodeFromUtf8(bytes.WrittenSpan[at..], out Rune rune, out consumed);
            characters.AsSpan(at, consumed).Fill(new TextSpan(text.Length, text.Length + rune.Utf16SequenceLength));
            text.Append(rune.ToString());
        }

        TextSpan[] spans = new TextSpan[ids.Length];
        for (int i = 0, start = 0; i < ids.Length; start = ends[i], i++)
        {
            int place = start < characters.Length ? characters[start].Start : text.Length;
            spans[i] = start < ends[i] ? new TextSpan(place, characters[ends[i] - 1].End) : new TextSpan(place, place);
        }

        BosState bos = ids.Length > 0 && ids[0] == tokenizer.SpecialTokens.Bos ? BosState.InText : BosState.Absent;
        return new TokenizedText(text.ToString(), ids.ToArray(), spans, bos, EosAdded: false);
    }
}
