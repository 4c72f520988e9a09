using System.Text.RegularExpressions;

namespace Lab.Models.Tokenizers;

/// <summary>Splits text into words, numbers and single marks; white space separates them and is not kept.</summary>
internal static partial class WordPieces
{
    /// <summary>The pieces of a text in order.</summary>
    public static Regex.ValueMatchEnumerator Of(ReadOnlySpan<char> text) => Pattern().EnumerateMatches(text);

    /// <summary>Whether a piece is written right after the one before: a mark, not a word or number.</summary>
    public static bool IsMark(string piece) => !char.IsLetterOrDigit(piece, 0);

    // A code point outside the basic plane is two code units, and one mark.
    [GeneratedRegex(@"\p{L}[\p{L}\p{M}]*(?:['’-]\p{L}[\p{L}\p{M}]*)*|\p{N}+|[\uD800-\uDBFF][\uDC00-\uDFFF]|\S", RegexOptions.CultureInvariant)]
    private static partial Regex Pattern();
}
