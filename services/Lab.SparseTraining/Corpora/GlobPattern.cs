using System.Text;
using System.Text.RegularExpressions;

namespace Lab.SparseTraining.Corpora;

/// <summary>
/// A glob over relative paths with '/': <c>**/</c> is any folders or none, <c>*</c> any characters but '/', <c>?</c> one of them.
/// </summary>
internal sealed class GlobPattern
{
    private readonly Regex _regex;

    /// <summary>Reads a pattern.</summary>
    /// <exception cref="ArgumentException">It is empty or absolute, or has a part that no path has: none at all, "." or "..".</exception>
    public GlobPattern(string pattern, string field)
    {
        // "build/" and "./a.py" would match nothing, without a word.
        if (string.IsNullOrWhiteSpace(pattern) || pattern.Contains('\\') || pattern.Split('/').Any(part => part is "" or "." or ".."))
        {
            throw new ArgumentException($"'{pattern}' is not a pattern of files relative to the folder, such as \"**/*.py\".", field);
        }

        _regex = new Regex(Translate(pattern), RegexOptions.NonBacktracking | RegexOptions.Singleline | RegexOptions.CultureInvariant);
    }

    /// <summary>Whether the pattern describes the whole path.</summary>
    public bool IsMatch(string relativePath) => _regex.IsMatch(relativePath);

    private static string Translate(string pattern)
    {
        var regex = new StringBuilder(@"\A");
        for (int i = 0; i < pattern.Length; i++)
        {
            ReadOnlySpan<char> rest = pattern.AsSpan(i);
            bool startsSegment = i == 0 || pattern[i - 1] == '/';
            if (startsSegment && rest.StartsWith("**/"))
            {
                regex.Append("(?:[^/]+/)*");
                i += 2;
            }
            else if (startsSegment && rest is "**")
            {
                regex.Append(".+");
                i++;
            }
            else
            {
                _ = rest[0] switch
                {
                    '*' => regex.Append("[^/]*"),
                    '?' => regex.Append("[^/]"),
                    _ => regex.Append(Regex.Escape(rest[..1].ToString())),
                };
            }
        }

        return regex.Append(@"\z").ToString();
    }
}
