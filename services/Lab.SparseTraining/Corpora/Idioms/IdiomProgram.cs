using System.Text;
using Lab.Models.Corpora;
using Lab.Models.Tasks;

namespace Lab.SparseTraining.Corpora.Idioms;

/// <summary>
/// One generated file of simple idioms, after the idea of TinyStories: functions, classes and scripts, each of a few idioms of the tasks, from
/// their training templates alone. It is valid Python. Between two idioms there is always an empty line, so that no held-out template comes
/// about by chance.
/// </summary>
internal sealed class IdiomProgram
{
    private const string Level = "    ";
    private static readonly PythonTask _classTask = PythonTask.Get("class_init", "task");

    private readonly SeededRandom _random;
    private readonly IdiomWeights _weights;
    private readonly List<string> _lines = [];
    private readonly HashSet<string> _functions = new(StringComparer.Ordinal);
    private readonly List<(string Name, int Parameters)> _callable = [];

    private IdiomProgram(SeededRandom random, IdiomWeights weights) => (_random, _weights) = (random, weights);

    /// <summary>Program <paramref name="index"/> of a seed.</summary>
    public static string Generate(long seed, long index, IdiomWeights weights) => new IdiomProgram(new SeededRandom(seed, index), weights).Generate();

    private string Generate()
    {
        if (_random.Chance(30)) _lines.Add($"\"\"\"{Sentence()}\"\"\"");
        if (_random.Chance(40))
        {
            Space(1);
            for (int i = _random.Between(1, 3); i > 0; i--) _lines.Add("import " + _random.Pick(["os", "sys", "json", "math", "time", "random", "shutil", "logging", "warnings"]));
        }

        for (int parts = _random.Between(2, 6); parts > 0; parts--)
        {
            if (_random.Chance(18) && _weights.Has(_classTask)) Class();
            else Part();
        }

        if (_callable.Count > 0 && _random.Chance(40)) Main();
        bool isNarrow = _random.Chance(25);
        var text = new StringBuilder();
        foreach (string line in _lines) text.Append(isNarrow ? Narrow(line) : line).Append('\n');
        return text.ToString();
    }

    private static string Narrow(string line)
    {
        int indent = line.Length - line.TrimStart(' ').Length;
        return line[(indent / 2)..];
    }

    /// <summary>A function of one to three idioms, an idiom that is a function itself, or a few lines of a script.</summary>
    private void Part()
    {
        IdiomSnippet first = Draw();
        if (first.IsDefinition)
        {
            Space(2);
            _lines.AddRange(first.Lines);
        }
        else if (first.FreeNames.Count > 0 || _random.Chance(40))
        {
            Function(first, "", isMethod: false);
        }
        else
        {
            Space(1);
            Comment("");
            _lines.AddRange(first.Lines);
        }
    }

    private void Function(IdiomSnippet first, string indent, bool isMethod)
    {
        var snippets = new List<IdiomSnippet> { first };
        for (int more = _random.Next(3); more > 0; more--)
        {
            IdiomSnippet next = Draw();
            if (!next.IsDefinition) snippets.Add(next);
        }

        string[] known = [.. snippets.SelectMany(snippet => snippet.FreeNames).Distinct()];
        string name = NewFunctionName();
        Space(isMethod ? 1 : 2);
        _lines.Add($"{indent}def {name}({string.Join(", ", isMethod ? [.. known.Prepend("self")] : known)}):");
        indent += Level;
        if (_random.Chance(25)) _lines.Add($"{indent}\"\"\"{Sentence()}\"\"\"");
        for (int i = 0; i < snippets.Count; i++)
        {
            if (i > 0)
            {
                Space(1);
                Comment(indent);
            }

            _lines.AddRange(snippets[i].Lines.Select(line => line.Length == 0 ? "" : indent + line));
        }

        string[] all = [.. known, .. snippets.SelectMany(snippet => snippet.OtherNames)];
        if (all.Length > 0 && _random.Chance(50))
        {
            Space(1);
            _lines.Add($"{indent}return {_random.Pick(all)}");
        }

        if (!isMethod) _callable.Add((name, known.Length));
    }

    /// <summary>A class with its constructor, and methods of idioms after it.</summary>
    private void Class()
    {
        Space(2);
        _lines.AddRange(Snippet(_classTask).Lines);
        for (int methods = _random.Next(4); methods > 0; methods--)
        {
            IdiomSnippet snippet = Draw();
            if (!snippet.IsDefinition) Function(snippet, Level, isMethod: true);
        }
    }

    /// <summary>Calls of functions of the file.</summary>
    private void Main()
    {
        Space(2);
        _lines.Add("if __name__ == " + _random.Pick(["\"__main__\":", "'__main__':"]));
        for (int i = _random.Between(1, 3); i > 0; i--)
        {
            (string name, int parameters) = _random.Pick(_callable);
            string call = $"{name}({string.Join(", ", Enumerable.Range(0, parameters).Select(_ => Argument()))})";
            _lines.Add(Level + (_random.Chance(50) ? call : $"print({call})"));
        }
    }

    private string Argument() => _random.Next(4) switch
    {
        0 => $"{_random.Next(100)}",
        1 => $"[{string.Join(", ", Enumerable.Range(0, _random.Between(1, 4)).Select(_ => _random.Next(50)))}]",
        2 => $"\"{_random.Pick(IdiomWords.All.Nouns)}\"",
        _ => $"'{_random.Pick(IdiomWords.All.Nouns)}'",
    };

    private IdiomSnippet Draw() => Snippet(_weights.Draw(_random));

    private IdiomSnippet Snippet(PythonTask task) => IdiomSnippet.Of(task.Draw(_random, PromptSplit.Train, IdiomWords.All), isFirst: _random.Chance(50));

    private void Comment(string indent)
    {
        if (_random.Chance(12)) _lines.Add($"{indent}# {_random.Pick(IdiomWords.All.Actions)} the {_random.Pick(IdiomWords.All.Nouns)}");
    }

    private string Sentence()
    {
        string verb = _random.Pick(IdiomWords.All.Actions);
        return $"{char.ToUpperInvariant(verb[0])}{verb[1..]} the {_random.Pick(IdiomWords.All.Qualities)} {_random.Pick(IdiomWords.All.Nouns)}.";
    }

    private string NewFunctionName()
    {
        while (true)
        {
            string name = $"{_random.Pick(IdiomWords.All.Actions)}_{_random.Pick(IdiomWords.All.Nouns)}";
            if (_functions.Add(name)) return name;
        }
    }

    private void Space(int lines)
    {
        if (_lines.Count == 0) return;
        while (_lines[^1].Length == 0) _lines.RemoveAt(_lines.Count - 1);
        for (int i = 0; i < lines; i++) _lines.Add("");
    }
}
