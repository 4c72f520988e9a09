using Lab.Models.Tasks;

namespace Lab.SparseTraining.Corpora.Idioms;

/// <summary>One idiom as lines of code, indented by four spaces a level.</summary>
/// <param name="Lines">The lines.</param>
/// <param name="FreeNames">The variables that it uses before it gives them a value.</param>
/// <param name="OtherNames">The other variables.</param>
internal sealed record IdiomSnippet(IReadOnlyList<string> Lines, IReadOnlyList<string> FreeNames, IReadOnlyList<string> OtherNames)
{
    /// <summary>Whether it is a function or a class, which stands by itself.</summary>
    public bool IsDefinition => Lines[0].StartsWith("def ", StringComparison.Ordinal) || IsClass;

    /// <summary>Whether it is a class.</summary>
    public bool IsClass => Lines[0].StartsWith("class ", StringComparison.Ordinal);

    /// <summary>The idiom of one prompt of a pair.</summary>
    public static IdiomSnippet Of(PromptPair pair, bool isFirst)
    {
        string[] lines = (isFirst ? pair.A : pair.B).Program.TrimEnd('\n').Split('\n');
        List<string> free = [], other = [];
        foreach (string name in pair.Names)
        {
            string? line = Array.Find(lines, line => Find(line, name) >= 0);
            if (line is not null) (IsFree(line, name) ? free : other).Add(name);
        }

        return new IdiomSnippet(lines, free, other);
    }

    // Looks at the first line with the name; what it misses gives a program that would not run, but is no less valid.
    private static bool IsFree(string line, string name)
    {
        int at = Find(line, name);
        ReadOnlySpan<char> before = line.AsSpan(0, at), code = line.AsSpan().TrimStart();
        if (code.StartsWith("def ") || code.StartsWith("class ")) return false;
        if (before.EndsWith(" as ") || before.EndsWith("lambda ") || before.EndsWith("self.")) return false;
        int loop = before.LastIndexOf("for ");
        if (loop >= 0 && IsNames(before[(loop + 4)..])) return false;
        int equals = line.IndexOf(" = ", StringComparison.Ordinal);
        return !(equals >= at && IsNames(line.AsSpan(0, equals).TrimStart()) && Find(line[equals..], name) < 0);
    }

    /// <summary>Whether a text is names with commas and spaces between them.</summary>
    private static bool IsNames(ReadOnlySpan<char> text)
    {
        for (int i = 0; i < text.Length; i++)
        {
            if (!IsNamePart(text[i]) && text[i] != ',' && !(text[i] == ' ' && i > 0 && text[i - 1] == ',')) return false;
        }

        return true;
    }

    /// <summary>The index of a name as a whole word; -1 if there is none.</summary>
    private static int Find(string text, string name)
    {
        for (int at = text.IndexOf(name, StringComparison.Ordinal); at >= 0; at = text.IndexOf(name, at + 1, StringComparison.Ordinal))
        {
            int end = at + name.Length;
            if ((at == 0 || !IsNamePart(text[at - 1])) && (end == text.Length || !IsNamePart(text[end]))) return at;
        }

        return -1;
    }

    private static bool IsNamePart(char c) => char.IsAsciiLetterOrDigit(c) || c == '_';
}
