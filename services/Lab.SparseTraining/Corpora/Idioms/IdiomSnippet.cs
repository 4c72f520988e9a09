using System.Text.RegularExpressions;
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
        string program = (isFirst ? pair.A : pair.B).Program;
        string[] lines = program.TrimEnd('\n').Split('\n');
        ILookup<bool, string> names = pair.Names.Where(name => Regex.IsMatch(program, $@"\b{name}\b")).ToLookup(name => IsFree(lines, name));
        return new IdiomSnippet(lines, [.. names[true]], [.. names[false]]);
    }

    // Looks at the first line with the name; what it misses gives a program that would not run, but is no less valid.
    private static bool IsFree(string[] lines, string name)
    {
        string line = lines.First(line => Regex.IsMatch(line, $@"\b{name}\b"));
        return !Regex.IsMatch(line, $@"^\s*(\w+, )*{name}(, \w+)* = (?!.*\b{name}\b)")
            && !Regex.IsMatch(line, $@"\bfor (\w+, )*{name}\b")
            && !Regex.IsMatch(line, $@"\b(as|lambda) {name}\b")
            && !Regex.IsMatch(line, $@"^\s*(def|class) .*\b{name}\b")
            && !Regex.IsMatch(line, $@"\bself\.{name}\b");
    }
}
