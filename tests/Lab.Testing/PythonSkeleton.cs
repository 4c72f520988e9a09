using System.Text.RegularExpressions;

namespace Lab.Testing;

/// <summary>What is left of a piece of Python when names, numbers and the contents of strings no longer tell.</summary>
public static partial class PythonSkeleton
{
    private static readonly HashSet<string> _kept =
    [
        .. "and as assert break class continue def del elif else except f for from if import in is lambda not or pass raise return try while with yield".Split(' '),
        "self", "set", "open", "print", "range", "enumerate", "len", "True", "None", "append", "add", "read", "write", "__init__",
    ];

    /// <summary>The layout: names are N, numbers 0, words in strings one S, lists of numbers one 0.</summary>
    public static string Of(string code)
    {
        string strings = OpenString().Replace(Strings().Replace(code, match => match.Value[..1] + "S" + match.Value[..1]), match => match.Value[..1] + "S");
        string names = Names().Replace(strings, match => match.Value == "S" || _kept.Contains(match.Value) ? match.Value : "N");
        return Lists().Replace(Numbers().Replace(names, "0"), "0").Replace('\'', '"');
    }

    // A string that ends on its line, with at least one character in it.
    [GeneratedRegex("""(["'])(?:(?!\1).)+\1""")]
    private static partial Regex Strings();

    // One that goes on behind the end of the prompt.
    [GeneratedRegex("""["'][^"'\n]+\z""")]
    private static partial Regex OpenString();

    [GeneratedRegex(@"[A-Za-z_][A-Za-z_0-9]*")]
    private static partial Regex Names();

    [GeneratedRegex(@"[0-9]+")]
    private static partial Regex Numbers();

    [GeneratedRegex(@"0(, 0)+")]
    private static partial Regex Lists();
}
