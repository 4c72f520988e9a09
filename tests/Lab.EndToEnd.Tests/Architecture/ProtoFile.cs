using System.Text.RegularExpressions;

namespace Lab.EndToEnd.Tests.Architecture;

/// <summary>The elements of a .proto file and which of them have no comment directly above.</summary>
internal static partial class ProtoFile
{
    // What begins a statement that needs no comment.
    [GeneratedRegex(@"^(syntax|package|import|option|reserved|extensions)\b")]
    private static partial Regex Undescribed { get; }

    [GeneratedRegex("""("(?:\\.|[^"\\])*")|//.*$""")]
    private static partial Regex StringOrComment { get; }

    /// <summary>Each service, rpc, message, oneof, field, enum and enum value, as the line that it begins on.</summary>
    /// <param name="lines">The file's lines.</param>
    public static IEnumerable<(int Line, string Text, bool HasComment)> Elements(IReadOnlyList<string> lines)
    {
        bool isWithin = false;
        for (int i = 0; i < lines.Count; i++)
        {
            string code = StringOrComment.Replace(lines[i], "$1").Trim();
            if (code.Length == 0) continue;
            if (!isWithin && code.Trim('}', ';').Length > 0 && !Undescribed.IsMatch(code))
                yield return (i + 1, code, i > 0 && lines[i - 1].TrimStart().StartsWith("//", StringComparison.Ordinal));
            isWithin = code[^1] is not (';' or '{' or '}');
        }
    }
}
