using System.Globalization;
using System.Text;

namespace Lab.Models.Tokenizers.HuggingFace;

/// <summary>Splits a piece of text further, and may change it.</summary>
internal abstract class PreTokenizer
{
    /// <summary>Appends the pieces of a piece, none of them empty.</summary>
    /// <param name="piece">A piece that is not empty.</param>
    /// <param name="isStart">Whether the piece begins the whole sequence.</param>
    /// <param name="pieces">Where they go.</param>
    public abstract void Split(TextPiece piece, bool isStart, List<TextPiece> pieces);
}

/// <summary>Splits by an expression or a string.</summary>
internal sealed class SplitPreTokenizer(CodePointRegex pattern, SplitBehavior behavior, bool invert) : PreTokenizer
{
    public override void Split(TextPiece piece, bool isStart, List<TextPiece> pieces)
    {
        var matches = new List<(int Start, int End)>();
        pattern.FindAll(piece.Characters, matches);
        int first = pieces.Count;
        int end = 0;
        bool lastIsMatch = false;
        foreach ((int matchStart, int matchEnd) in matches)
        {
            Add(end, matchStart, isMatch: invert);
            Add(matchStart, matchEnd, isMatch: !invert);
            end = matchEnd;
        }

        Add(end, piece.Characters.Length, isMatch: invert);

        void Add(int from, int to, bool isMatch)
        {
            if (from == to) return;
            bool isFirst = pieces.Count == first;
            bool joins = behavior switch
            {
                SplitBehavior.Contiguous => !isFirst && isMatch == lastIsMatch,
                SplitBehavior.MergedWithPrevious => !isFirst && isMatch && !lastIsMatch,
                SplitBehavior.MergedWithNext => !isFirst && !isMatch && lastIsMatch,
                _ => false,
            };
            lastIsMatch = isMatch;
            if (behavior == SplitBehavior.Removed && isMatch) return;
            if (joins) pieces[^1] = pieces[^1] with { End = piece.Start + to };
            else pieces.Add(new TextPiece(piece.Text, piece.Start + from, piece.Start + to));
        }
    }
}

/// <summary>What becomes of the parts of a text that a split's pattern matches.</summary>
internal enum SplitBehavior
{
    Isolated,
    Removed,
    MergedWithPrevious,
    MergedWithNext,
    Contiguous,
}

/// <summary>Byte-level BPE's: an optional space before the text, and an optional split. The bytes are left to the model.</summary>
internal sealed class ByteLevelPreTokenizer(bool addPrefixSpace, bool useRegex) : PreTokenizer
{
    /// <summary>GPT-2's expression.</summary>
    public const string Expression = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    private readonly SplitPreTokenizer? _split = useRegex ? new(new CodePointRegex(Expression), SplitBehavior.Isolated, invert: false) : null;

    public override void Split(TextPiece piece, bool isStart, List<TextPiece> pieces)
    {
        if (addPrefixSpace && piece.Characters[0] != ' ') piece = TextPiece.Whole(piece.ToText().Prepend(" "));
        if (_split is null) pieces.Add(piece);
        else _split.Split(piece, isStart, pieces);
    }
}

/// <summary>SentencePiece's: a visible character for each space, one more before the text, and an optional split before each.</summary>
internal sealed class MetaspacePreTokenizer(char replacement, MetaspacePrefix prefix, bool split) : PreTokenizer
{
    private readonly string _replacement = replacement.ToString();

    public override void Split(TextPiece piece, bool isStart, List<TextPiece> pieces)
    {
        AlignedText text = piece.ToText().Replace(" ", _replacement);
        bool isPrefixed = prefix == MetaspacePrefix.Always || (prefix == MetaspacePrefix.First && isStart);
        if (isPrefixed && text.Characters[0] != replacement) text = text.Prepend(_replacement);
        int start = 0;
        for (int i = 1; split && i < text.Characters.Length; i++)
        {
            if (text.Characters[i] != replacement) continue;
            pieces.Add(new TextPiece(text, start, i));
            start = i;
        }

        pieces.Add(new TextPiece(text, start, text.Characters.Length));
    }
}

/// <summary>When <see cref="MetaspacePreTokenizer"/> puts a character before a piece.</summary>
internal enum MetaspacePrefix
{
    Never,
    First,
    Always,
}

/// <summary>Splits numbers off.</summary>
internal sealed class DigitsPreTokenizer(bool individual) : PreTokenizer
{
    public override void Split(TextPiece piece, bool isStart, List<TextPiece> pieces)
    {
        ReadOnlySpan<char> text = piece.Characters;
        int start = 0;
        bool lastIsNumber = false;
        for (int i = 0; i < text.Length; i += CodePoints.LengthAt(text, i))
        {
            _ = Rune.DecodeFromUtf16(text[i..], out Rune rune, out _);
            bool isNumber = Rune.GetUnicodeCategory(rune) is UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber;
            if (i > 0 && (isNumber != lastIsNumber || (isNumber && individual)))
            {
                pieces.Add(new TextPiece(piece.Text, piece.Start + start, piece.Start + i));
                start = i;
            }

            lastIsNumber = isNumber;
        }

        pieces.Add(new TextPiece(piece.Text, piece.Start + start, piece.End));
    }
}

/// <summary>Some, one after the other.</summary>
internal sealed class PreTokenizerSequence(IReadOnlyList<PreTokenizer> parts) : PreTokenizer
{
    public override void Split(TextPiece piece, bool isStart, List<TextPiece> pieces)
    {
        List<TextPiece> from = [piece];
        foreach (PreTokenizer part in parts)
        {
            var to = new List<TextPiece>(from.Count);
            for (int i = 0; i < from.Count; i++) part.Split(from[i], isStart && i == 0, to);
            from = to;
        }

        pieces.AddRange(from);
    }
}
