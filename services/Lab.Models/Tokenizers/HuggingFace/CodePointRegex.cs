using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Lab.Models.Tokenizers.HuggingFace;

/// <summary>
/// A regular expression that sees code points, as those of tokenizer files are meant, though .NET's sees UTF-16: a text with
/// surrogates is matched through a copy that has one character for each code point, of the same general category.
/// </summary>
internal sealed class CodePointRegex
{
    // A file can hold any expression: one that backtracks without end must not hold a request forever.
    private static readonly TimeSpan _timeout = TimeSpan.FromSeconds(10);

    private static readonly Dictionary<UnicodeCategory, char> _standIns = new()
    {
        [UnicodeCategory.UppercaseLetter] = 'À',
        [UnicodeCategory.LowercaseLetter] = 'ß',
        [UnicodeCategory.TitlecaseLetter] = '\u01C5',
        [UnicodeCategory.ModifierLetter] = '\u02B0',
        [UnicodeCategory.OtherLetter] = '\u05D0',
        [UnicodeCategory.NonSpacingMark] = '\u0300',
        [UnicodeCategory.SpacingCombiningMark] = '\u0903',
        [UnicodeCategory.EnclosingMark] = '\u0488',
        [UnicodeCategory.DecimalDigitNumber] = '\u0660',
        [UnicodeCategory.LetterNumber] = '\u16EE',
        [UnicodeCategory.OtherNumber] = '\u00B2',
        [UnicodeCategory.DashPunctuation] = '\u2010',
        [UnicodeCategory.OpenPunctuation] = '\u0F3A',
        [UnicodeCategory.ClosePunctuation] = '\u0F3B',
        [UnicodeCategory.ConnectorPunctuation] = '\u203F',
        [UnicodeCategory.OtherPunctuation] = '\u00A7',
        [UnicodeCategory.MathSymbol] = '\u00AC',
        [UnicodeCategory.CurrencySymbol] = '\u20AC',
        [UnicodeCategory.ModifierSymbol] = '\u02C2',
        [UnicodeCategory.OtherSymbol] = '\u00A9',
        [UnicodeCategory.Format] = '\u00AD',
        [UnicodeCategory.PrivateUse] = '\uE000',
        [UnicodeCategory.OtherNotAssigned] = '\u0378',
    };

    private readonly Regex _regex;

    /// <exception cref="ArgumentException">The expression is malformed, or needs what .NET's have not.</exception>
    public CodePointRegex(string pattern)
    {
        if (pattern.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF')) throw new ArgumentException("It names a code point above U+FFFF.", nameof(pattern));
        _regex = new Regex(pattern, RegexOptions.CultureInvariant | RegexOptions.Compiled, _timeout);
    }

    /// <summary>Appends the ranges, not empty, that match, in order.</summary>
    public void FindAll(ReadOnlySpan<char> text, List<(int Start, int End)> matches)
    {
        if (!text.ContainsAnyInRange('\uD800', '\uDFFF'))
        {
            foreach (ValueMatch match in _regex.EnumerateMatches(text))
            {
                if (match.Length > 0) matches.Add((match.Index, match.Index + match.Length));
            }

            return;
        }

        char[] standIn = new char[text.Length];
        int[] index = new int[text.Length + 1];
        int count = 0;
        for (int i = 0; i < text.Length; i += CodePoints.LengthAt(text, i))
        {
            index[count] = i;
            standIn[count++] = CodePoints.LengthAt(text, i) == 1 ? text[i] : _standIns[Rune.GetUnicodeCategory(new Rune(text[i], text[i + 1]))];
        }

        index[count] = text.Length;
        foreach (ValueMatch match in _regex.EnumerateMatches(standIn.AsSpan(0, count)))
        {
            if (match.Length > 0) matches.Add((index[match.Index], index[match.Index + match.Length]));
        }
    }
}
