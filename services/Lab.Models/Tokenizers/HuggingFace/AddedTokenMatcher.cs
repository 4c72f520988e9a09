using System.Buffers;
using System.Globalization;
using System.Text;

namespace Lab.Models.Tokenizers.HuggingFace;

/// <summary>Finds added tokens in a text: the leftmost first, of those that begin at one place the longest.</summary>
internal sealed class AddedTokenMatcher
{
    private readonly Dictionary<(int Node, char Next), int> _edges = [];
    private readonly List<AddedToken?> _tokenOfNode = [null];
    private readonly SearchValues<char> _firstCharacters;

    /// <param name="tokens">The strings to look for; of equal ones the first counts.</param>
    public AddedTokenMatcher(IEnumerable<(string Pattern, AddedToken Token)> tokens)
    {
        var first = new HashSet<char>();
        foreach ((string pattern, AddedToken token) in tokens)
        {
            if (pattern.Length == 0) continue;
            first.Add(pattern[0]);
            int node = 0;
            foreach (char c in pattern)
            {
                if (!_edges.TryGetValue((node, c), out int next))
                {
                    _edges.Add((node, c), next = _tokenOfNode.Count);
                    _tokenOfNode.Add(null);
                }

                node = next;
            }

            _tokenOfNode[node] ??= token;
        }

        _firstCharacters = SearchValues.Create([.. first]);
    }

    /// <summary>Appends the parts of a text, none of them empty: added tokens with what they strip, and what lies between.</summary>
    public void Split(ReadOnlySpan<char> text, bool parseSpecial, List<(int Start, int End, AddedToken? Token)> parts)
    {
        int done = 0;
        for (int at = 0; at < text.Length;)
        {
            int skip = text[at..].IndexOfAny(_firstCharacters);
            if (skip < 0) break;
            at += skip;
            if (LongestAt(text[at..]) is not ({ } token, int length))
            {
                at++;
                continue;
            }

            (int start, int end) = (at, at + length);
            at = end;
            if ((token.IsSpecial && !parseSpecial) || (token.IsSingleWord && TouchesWord(text, start, end))) continue;
            if (token.StripsLeft) start = Math.Max(done, text[..start].TrimEnd().Length);
            if (token.StripsRight) at = end = text.Length - text[end..].TrimStart().Length;
            if (done < start) parts.Add((done, start, null));
            parts.Add((start, end, token));
            done = end;
        }

        if (done < text.Length) parts.Add((done, text.Length, null));
    }

    private (AddedToken? Token, int Length) LongestAt(ReadOnlySpan<char> text)
    {
        (AddedToken? Token, int Length) longest = default;
        int node = 0;
        for (int i = 0; i < text.Length && _edges.TryGetValue((node, text[i]), out node); i++)
        {
            if (_tokenOfNode[node] is { } token) longest = (token, i + 1);
        }

        return longest;
    }

    private static bool TouchesWord(ReadOnlySpan<char> text, int start, int end) =>
        (Rune.DecodeLastFromUtf16(text[..start], out Rune before, out _) == OperationStatus.Done && IsWord(before))
        || (Rune.DecodeFromUtf16(text[end..], out Rune after, out _) == OperationStatus.Done && IsWord(after));

    private static bool IsWord(Rune rune) => Rune.IsLetter(rune) || Rune.GetUnicodeCategory(rune) is UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber
        or UnicodeCategory.ConnectorPunctuation or UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark;
}
